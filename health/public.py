"""The public answers, the same from the WSGI entry as from Django: status, body and headers, out of the snapshot."""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from health import report
from health.snapshot import snapshot
from health.verdict import OK

LIVE: Final = {"status": OK}
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
RETRY_AFTER: Final = {"Retry-After": "2"}
NOT_READY: Final = {"detail": "Not ready: the first round of probes is not done yet, or the server is stopping."}
SWITCH: Final = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `body` becomes JSON."""

    body: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))


class BadParameterError(ValueError):
    """A query parameter has a value that is not allowed; the text names what is."""


def switch(query: str, name: str) -> bool:
    """Read a parameter that is 0 or 1 from a query string. Raises BadParameterError."""
    text = parse_qs(query, keep_blank_values=True).get(name, ["0"])[-1]
    if text not in SWITCH:
        raise BadParameterError(f"{name}: {text[:40]!r} is not allowed. Expected: 0 or 1.")
    return SWITCH[text]


def summary(query: str) -> Answer:
    """The answer of /health: 200 whether ok or degraded, but 503 for degraded with `strict=1`."""
    try:
        return reported(report.summary(), strict=switch(query, "strict"))
    except BadParameterError as problem:
        return Answer({"detail": str(problem)}, 400)


def reported(body: report.Report, *, strict: bool) -> Answer:
    """A report as an answer: with `strict` anything but ok is 503."""
    if strict and body["status"] != OK:
        return Answer(body, 503, HEADERS | RETRY_AFTER)
    return Answer(body)


def live(query: str) -> Answer:
    """The answer of /health/live."""
    return Answer(LIVE)


def ready(query: str) -> Answer:
    """The answer of /health/ready: 503 until the first round of probes is done, and while the server stops."""
    return Answer(LIVE) if snapshot.is_ready() else Answer(NOT_READY, 503, HEADERS | RETRY_AFTER)
