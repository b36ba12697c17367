"""The probe of consistency: how old the last complete scan is, so that a cron which silently stopped is found."""

from datetime import timedelta
from typing import TypedDict

from django.utils import timezone

from common.times import format_instant
from consistency.history.overview import Overview, overview
from health.registry import Degraded, Unasked, probe
from health.verdict import DEGRADED


class Consistency(TypedDict):
    last_complete_scan: str | None
    age_s: int | None
    status: str | None


@probe("consistency", ttl=5.0, section="consistency", requires=("postgres",), fails_command=True)
def consistency() -> Consistency:
    """The last complete scan is not too old."""
    return _told(overview())


def _told(seen: Overview) -> Consistency:
    found = _found(seen)
    if why := seen.too_old:
        # Unlike other sections this one has a status, as services have: it says why as they do.
        raise Degraded(why, {**found, "status": DEGRADED, "error": why})
    if seen.last is None:
        raise Unasked("no scan is remembered yet: let cron run check_consistency", found)
    if seen.complete is None:
        raise Unasked("no scan that is remembered was complete: check_consistency says why", found)
    return found


def _found(seen: Overview) -> Consistency:
    if seen.complete is None:
        return {"last_complete_scan": None, "age_s": None, "status": None}
    at = seen.complete.recorded_at
    # Two clocks may differ by more than the scan is old.
    age = max(timedelta(), timezone.now() - at)
    return {"last_complete_scan": format_instant(at), "age_s": int(age.total_seconds()), "status": seen.status}
