"""The probes, in the order of their definition: a probe is one question about health, and defining it registers it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, get_type_hints, is_typeddict

Client = Callable[[], object]
"""Makes what a probe keeps between its runs; a `close()` of it may be called from any thread."""

SECTION: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
RESERVED: Final = {"status", "version"}


class ProbeError(Exception):
    """A probe is defined wrongly: which one, what is wrong, what is expected."""


class Unwell(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """What a probe raises when not all is well: a short reason for clients, and what it could find out all the same."""

    def __init__(self, reason: str, value: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Degraded(Unwell):
    """It answers, but half or slowly. The reason is shown to clients: no secret, host or path in it."""


class Failed(Unwell):
    """It does not do its work. The reason is shown to clients: no secret, host or path in it."""


class Unasked(Unwell):
    """No fault, but no finding either: a setting says that there is nothing to ask, which the reason names, or nothing
    has happened yet that could be asked for.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question about health: `look` returns when all is well (None, or the section's values), else it raises."""

    name: str
    title: str
    look: Callable[..., Mapping[str, Any] | None]
    ttl: float
    """Seconds for which an answer is young enough."""
    deadline: float
    """Seconds after which no answer is an answer."""
    section: str | None
    """Its dotted place in /health/detailed; None for one that is no part of it."""
    keys: Mapping[str, Any] | None
    """The section's keys with their types; None for a service, whose section is its status and latency."""
    essential: bool
    """Whether the overall status depends on it."""
    fails_command: bool
    """Whether the exit code of check_health depends on it, as it does on the essential ones."""
    requires: tuple[str, ...]
    """Probes without which this one cannot succeed."""
    client: Client | None
    kept_young: bool
    """Whether the refresher asks it again and again, or only those who read it do."""

    @property
    def is_service(self) -> bool:
        """Whether its section is a status with a latency."""
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
    kept_young: bool = False,
    registry: dict[str, Probe] = PROBES,
) -> Callable[[Callable[..., Mapping[str, Any] | None]], Probe]:
    """Turn a function into the registered Probe of this name; raise ProbeError where the definition makes no sense.

    The function's docstring is the title. It takes the kept client, if there is one. Annotated `-> None` it is a
    service; annotated with a TypedDict it returns its section, whose keys are there even when it fails.
    """

    def register(look: Callable[..., Mapping[str, Any] | None]) -> Probe:
        made = Probe(
            name=name,
            title=_title(name, look),
            look=look,
            ttl=_positive(name, "ttl", ttl),
            deadline=_positive(name, "deadline", deadline),
            section=_section(name, section, registry),
            keys=_keys(name, look),
            essential=essential,
            fails_command=fails_command or essential,
            requires=requires,
            client=client,
            kept_young=kept_young or essential,
        )
        if registry.setdefault(name, made) is not made:
            raise ProbeError(f"Probe {name!r} is defined twice. Expected: a name of its own.")
        return made

    return register


def _title(name: str, look: Callable[..., Any]) -> str:
    title = (look.__doc__ or "").strip().partition("\n")[0]
    if not title:
        raise ProbeError(f"Probe {name!r} has no docstring. Expected: one sentence, shown to people as its title.")
    return title


def _positive(name: str, what: str, seconds: float) -> float:
    if seconds <= 0:
        raise ProbeError(f"Probe {name!r} has {what}={seconds}. Expected: more than 0 seconds.")
    return seconds


def _section(name: str, section: str | None, registry: Mapping[str, Probe]) -> str | None:
    if section is None:
        return None
    section = section.replace("*", name)
    if not SECTION.fullmatch(section) or section in RESERVED:
        raise ProbeError(f"Probe {name!r} has section {section!r}. Expected: a dotted name such as 'services.{name}'.")
    for other in registry.values():
        if other.section and _within(section, other.section):
            raise ProbeError(f"Probe {name!r} has section {section!r}, which collides with that of {other.name!r}.")
    return section


def _within(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _keys(name: str, look: Callable[..., Any]) -> Mapping[str, Any] | None:
    """Return the TypedDict that the function is annotated to return, as keys and types; None where it is `-> None`.

    Only that annotation is resolved: a client's may name a library that is not imported before it is needed.
    """
    annotation = SimpleNamespace(__annotations__={"return": look.__annotations__.get("return", "missing")})
    try:
        answer: object = get_type_hints(annotation, globalns=look.__globals__)["return"]
    except NameError:
        answer = None
    if answer is type(None):
        return None
    if not isinstance(answer, type) or not is_typeddict(answer):
        raise ProbeError(f"Probe {name!r} does not say what it returns. Expected: '-> None' or a TypedDict.")
    return get_type_hints(answer)
