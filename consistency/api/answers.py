"""What review looks like over REST: pages of lists, and each check with what it last came to."""

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from rest_framework.request import Request

from common.times import format_instant
from consistency.api import query
from consistency.history import lists
from consistency.history.names import remembered
from consistency.models.history import Mute, ScanCheck
from consistency.registry import CHECKS, Severity
from consistency.scan.selection import default


def page(request: Request, name: str, found: "QuerySet[Any]", told: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """One page of a list, and the links to its neighbours."""
    parameters = request.query_params
    page = lists.page(found, cursor=query.cursor(parameters), limit=query.limit(parameters))
    return {
        name: [told(row) for row in page.rows],
        "next": _link(request, page.next),
        "previous": _link(request, page.previous),
    }


def _link(request: Request, cursor: str | None) -> str | None:
    """An address without scheme and host: behind a proxy, those that we see need not be those that a client may use."""
    if cursor is None:
        return None
    parameters = request.query_params.copy()
    parameters["cursor"] = cursor
    return f"{request.path}?{parameters.urlencode()}"


def checks(database: str) -> list[dict[str, Any]]:
    """Every check that is defined, then every one of the past that is remembered."""
    last = lists.last_of_each_check(database)
    doubted = {name: answer.scan_id for name, answer in last.items() if answer.doubted}
    acknowledged = lists.acknowledged_of_each_check(database, doubted)
    mutes = {mute.check_name: mute for mute in lists.in_force(database)}
    past = (name for name, on in remembered() if on == database)
    return [
        _check(name, database, last.get(name), acknowledged.get(name, 0), mutes.get(name))
        for name in dict.fromkeys([*CHECKS, *past])
    ]


def check(name: str, database: str) -> dict[str, Any]:
    """One of them; nothing is known of a retired one whose scans are forgotten."""
    unknown = _check(name, database, None, 0, None)
    return next((told for told in checks(database) if told["check"] == name), unknown)


def _check(name: str, database: str, last: ScanCheck | None, acknowledged: int, mute: Mute | None) -> dict[str, Any]:
    found = _last(last) | {"mute": _mute(mute) if mute else None}
    if found["count"] is not None:
        # As it is now: who has just silenced it need not scan to see so.
        found["acknowledged"] = min(acknowledged, found["count"])
        found["muted"] = found["count"] - found["acknowledged"] if mute else 0
    return _definition(name, database, last) | found


def _definition(name: str, database: str, last: ScanCheck | None) -> dict[str, Any]:
    defined = CHECKS.get(name)
    remembered = Severity(last.severity) if last else Severity.INFO
    return {
        "check": name,
        "retired": defined is None or database not in connections,
        "severity": (defined.severity if defined else remembered).word,
        "title": defined.title if defined else None,
        "hint": defined.hint if defined else None,
        "tags": list(defined.tags) if defined else None,
        "default": defined in default(),
    }


def _last(last: ScanCheck | None) -> dict[str, Any]:
    told = ("outcome", "count", "acknowledged", "muted", "new", "returned", "resolved")
    return {
        "scan": last.scan_id if last else None,
        "scanned_at": format_instant(last.scan.recorded_at) if last else None,
        **{name: getattr(last, name) if last else None for name in told},
    }


def _mute(mute: Mute) -> dict[str, Any]:
    return {
        "by": mute.by,
        "reason": mute.reason,
        "created_at": format_instant(mute.created_at),
        "until": format_instant(mute.until),
        "sticky": mute.sticky,
        "mark": mute.mark,
    }
