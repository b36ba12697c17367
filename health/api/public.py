"""The public answers of /health, /health/live and /health/ready, which config/wsgi.py sends without Django.

The answers need no serializer, because config/wsgi.py imports this module before Django is set up.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from django.conf import settings

from health.build import build, uptime_ms
from health.runs.result import OK
from health.snapshot import snapshot

ALIVE: Final = {"status": OK}
HEADERS: Final[dict[str, str]] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
RETRY_AFTER: Final = {"Retry-After": "2"}
NOT_READY: Final = {"detail": "Not ready: the first round of probes has not ended yet."}
SWITCH: Final = {"0": False, "1": True}


class Answer(NamedTuple):
    """An HTTP answer with a JSON body."""

    body: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = HEADERS


def switch(query: str, name: str) -> bool:
    """Return a parameter that is 0 or 1. Raise ValueError with the allowed values."""
    text = parse_qs(query, keep_blank_values=True).get(name, ["0"])[-1]
    if text not in SWITCH:
        raise ValueError(f"{name}: {text[:40]!r} is not allowed. Expected: 0 or 1.")
    return SWITCH[text]


def summary(query: str) -> Answer:
    """Return the answer of /health, with the fields of SummarySerializer."""
    try:
        strict = switch(query, "strict")
    except ValueError as error:
        return Answer({"detail": str(error)}, 400)
    own = build()
    snapshot.ensure_started()
    body = {
        "status": snapshot.status(),
        "version": settings.VERSION,
        "build_git_hash": own.git_hash,
        "build_timestamp": own.timestamp,
        "uptime_ms": uptime_ms(),
    }
    return report_answer(body, strict=strict)


def report_answer(body: dict[str, Any], *, strict: bool) -> Answer:
    """Return the answer for a report: 200, or 503 if `strict` and the status is not ok."""
    if strict and body["status"] != OK:
        return Answer(body, 503, HEADERS | RETRY_AFTER)
    return Answer(body)


def live(query: str) -> Answer:
    """Return the answer of /health/live."""
    return Answer(ALIVE)


def ready(query: str) -> Answer:
    """Return the answer of /health/ready: 503 until the first round of probes has ended."""
    return Answer(ALIVE) if snapshot.is_ready() else Answer(NOT_READY, 503, HEADERS | RETRY_AFTER)
