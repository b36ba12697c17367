"""The probe of consistency: how old the last complete scan is, so that a cron which silently stopped is found."""

from datetime import datetime, timedelta
from typing import TypedDict

from django.conf import settings
from django.db import ProgrammingError
from django.utils import timezone

from consistency.formats import instant
from consistency.memory.lists import first_scan, last_complete_scan, last_scan
from consistency.memory.writing import recording_problem
from consistency.models.memory import Scan
from health.registry import Degraded, Failed, Unasked, Unwell, probe
from health.verdict import DEGRADED


class Consistency(TypedDict):
    last_complete_scan: str | None
    age_s: int | None
    status: str | None


@probe("consistency", ttl=5.0, section="consistency", requires=("postgres",), fails_command=True)
def consistency() -> Consistency:
    """The last complete scan is not too old."""
    try:
        scan = last_complete_scan()
        if scan is None:
            raise _without_any()
        return _told(scan)
    except ProgrammingError as error:
        raise Failed(recording_problem(error)) from error


def _told(scan: Scan) -> Consistency:
    # Two clocks may differ by more than the scan is old.
    age = max(timedelta(), timezone.now() - scan.recorded_at)
    found: Consistency = {
        "last_complete_scan": instant(scan.recorded_at),
        "age_s": int(age.total_seconds()),
        "status": scan.status,
    }
    if _is_too_old(scan.recorded_at):
        raise _too_old(_why(scan), found)
    return found


def _too_old(why: str, found: Consistency) -> Degraded:
    """Unlike other sections this one has a status, as services have: it says why as they do."""
    return Degraded(why, {**found, "status": DEGRADED, "error": why})


def _why(scan: Scan) -> str:
    newest = last_scan()
    if newest is None or _is_too_old(newest.recorded_at):
        return f"the last complete scan is of {instant(scan.recorded_at)}: does cron still run check_consistency?"
    return f"scans come, but the last complete one is of {instant(scan.recorded_at)}: check_consistency says why"


def _without_any() -> Unwell:
    """A fresh installation has none, and is well, which is no finding; one that scans and never completes is not."""
    found: Consistency = {"last_complete_scan": None, "age_s": None, "status": None}
    first = first_scan()
    if first is None:
        return Unasked("no scan is remembered yet: let cron run check_consistency", found)
    why = "no scan that is remembered was complete: check_consistency says why"
    return _too_old(why, found) if _is_too_old(first.recorded_at) else Unasked(why, found)


def _is_too_old(moment: datetime) -> bool:
    hours = settings.CONSISTENCY_MAX_AGE
    return bool(hours) and timezone.now() - moment > timedelta(hours=hours)
