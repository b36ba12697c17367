"""Probe of consistency: the age of the last complete scan shows whether cron still scans."""

from datetime import timedelta
from typing import TypedDict

from django.utils import timezone

from common.times import format_instant
from consistency.history.overview import Overview, overview
from health.registry import Degraded, NotApplicable, probe
from health.runs.result import DEGRADED


class Consistency(TypedDict):
    last_complete_scan: str | None
    age_s: int | None
    status: str | None


@probe("consistency", ttl=5.0, section="consistency", requires=("postgres",), fails_command=True)
def consistency() -> Consistency:
    """The last complete scan is not too old."""
    return _section(overview())


def _section(state: Overview) -> Consistency:
    section = _values(state)
    if state.stale:
        # This section has a status like a service, so the error stands beside that status.
        raise Degraded(state.stale, {**section, "status": DEGRADED, "error": state.stale})
    if state.last is None:
        raise NotApplicable("no scan is recorded yet: let cron run check_consistency", section)
    if state.complete is None:
        raise NotApplicable("no recorded scan was complete: check_consistency says why", section)
    return section


def _values(state: Overview) -> Consistency:
    if state.complete is None:
        return {"last_complete_scan": None, "age_s": None, "status": None}
    at = state.complete.recorded_at
    # Two clocks may differ by more than the age of the scan.
    age = max(timedelta(), timezone.now() - at)
    return {"last_complete_scan": format_instant(at), "age_s": int(age.total_seconds()), "status": state.status}
