"""The registry of probes, in the order of their definition."""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import NoneType, SimpleNamespace
from typing import Any, Final, get_type_hints, is_typeddict

SECTION: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
RESERVED: Final = {"status", "version"}

Run = Callable[..., Mapping[str, Any] | None]
"""The function of a probe: takes the kept client, if any; returns None or the values of the section."""
Client = Callable[[], object]
"""Creates the client that a probe keeps between runs. Any thread may call `close()` of the client."""
Known = Callable[[], Mapping[str, Any]]
"""Returns the values of the section without an answer of the service, such as values of settings."""

PUBLISHED: Final[ContextVar[dict[str, Any]]] = ContextVar("published")
"""The published values of the run in this thread; the executor sets the variable."""


def publish(values: Mapping[str, Any]) -> None:
    """Report values of the section now. The values stay known if the rest of the run fails or hangs."""
    PUBLISHED.get({}).update(values)


class ProbeError(Exception):
    """The definition of a probe is wrong: the text names the probe, the mistake and the expected form."""


class Unwell(Exception):  # noqa: N818 - an outcome, not a bug
    """A probe raises a subclass unless all is well, with a reason for clients and the values known so far.

    The reason is public: no secret, host or path.
    """

    def __init__(self, reason: str, value: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Degraded(Unwell):
    """The service answers, but slowly or in part."""


class Failed(Unwell):
    """The service does not work."""


class NotApplicable(Unwell):
    """Not a fault: a setting turns the service off, or there is no data yet. The reason says so."""


class Unfinished(NotApplicable):
    """A part of the values follows in a later run. check_health waits for the values."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """One question about health. `run` returns if all is well, and raises otherwise."""

    name: str
    title: str
    run: Run
    ttl: float
    """Seconds until a result is run again on demand."""
    deadline: float
    """Seconds until a run without answer counts as failed."""
    section: str | None
    """Dotted place in /health/detailed; None for a probe that is not in the report."""
    keys: Mapping[str, Any] | None
    """Keys of the section with their types; None for a service, whose section has a status and a latency."""
    essential: bool
    """Whether the overall status depends on the probe."""
    fails_command: bool
    """Whether the exit code of check_health depends on the probe, as on essential probes."""
    requires: tuple[str, ...]
    """Names of probes that must not be in error; otherwise the run is skipped."""
    client: Client | None
    known: Known
    refreshed: bool
    """Whether the refresher runs the probe periodically, besides runs on demand."""

    @property
    def is_service(self) -> bool:
        """Whether the section is a status with a latency."""
        return self.keys is None


PROBES: Final[dict[str, Probe]] = {}


def probe(
    name: str,
    *,
    ttl: float,
    deadline: float = 1.0,
    section: str | None = "services.*",
    essential: bool = False,
    fails_command: bool = False,
    requires: tuple[str, ...] = (),
    client: Client | None = None,
    known: Known = dict,
    refreshed: bool = False,
    registry: dict[str, Probe] = PROBES,
) -> Callable[[Run], Probe]:
    """Turn a function into a registered Probe; raise ProbeError for a wrong definition.

    The first line of the docstring is the title. The annotation `-> None` defines a service. A TypedDict as
    annotation defines the keys of the section. If the probe fails, the keys are null, except the values of `known` and
    of `publish`.
    """

    def register(run: Run) -> Probe:
        new = Probe(
            name=name,
            title=_title(name, run),
            run=run,
            ttl=_positive(name, "ttl", ttl),
            deadline=_positive(name, "deadline", deadline),
            section=_section(name, section),
            keys=_keys(name, run),
            essential=essential,
            fails_command=fails_command or essential,
            requires=requires,
            client=client,
            known=known,
            refreshed=refreshed or essential,
        )
        if registry.setdefault(name, new) is not new:
            raise ProbeError(f"Probe {name!r} is defined twice. Expected: a unique name.")
        return new

    return register


def _title(name: str, run: Run) -> str:
    title = (run.__doc__ or "").strip().partition("\n")[0]
    if not title:
        raise ProbeError(f"Probe {name!r} has no docstring. Expected: one sentence, shown as the title.")
    return title


def _positive(name: str, option: str, seconds: float) -> float:
    if seconds <= 0:
        raise ProbeError(f"Probe {name!r} has {option}={seconds}. Expected: more than 0 seconds.")
    return seconds


def _section(name: str, section: str | None) -> str | None:
    if section is None:
        return None
    section = section.replace("*", name)
    if not SECTION.fullmatch(section) or section in RESERVED:
        raise ProbeError(f"Probe {name!r} has section {section!r}. Expected: a dotted name such as 'services.{name}'.")
    return section


def _keys(name: str, run: Run) -> Mapping[str, Any] | None:
    """Return keys and types of the TypedDict that the function returns; None for `-> None`.

    Only the return annotation is resolved: the annotation of the client may name a library that is not imported yet.
    """
    annotation = SimpleNamespace(__annotations__={"return": run.__annotations__.get("return")})
    returned = get_type_hints(annotation, globalns=run.__globals__)["return"]
    if returned is NoneType:
        return None
    if not is_typeddict(returned):
        raise ProbeError(f"Probe {name!r} does not say what it returns. Expected: '-> None' or a TypedDict.")
    return get_type_hints(returned)
