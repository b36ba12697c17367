"""Decide whether complete scans still come: one rule for health and overview."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from common.times import format_instant
from consistency.history.queries import first_scan
from consistency.models.history import Scan

CLOCK_DIFFERENCE: Final = timedelta(minutes=5)
"""Accepted difference of two clocks."""


def stale_reason(complete: Scan | None, last: Scan | None, database: str) -> str | None:
    """Return why the scans of a database are too old; None if the last complete scan is recent.

    Without a complete scan, the age counts from the first scan.
    """
    if not settings.CONSISTENCY_MAX_AGE:
        return None
    if complete and complete.recorded_at - timezone.now() > CLOCK_DIFFERENCE:
        at = format_instant(complete.recorded_at)
        return f"the last complete scan is dated in the future, {at}: was the clock set back?"
    since = complete or first_scan(database)
    if since is None or not _is_old(since.recorded_at):
        return None
    problem = "no recorded scan was complete"
    if complete:
        problem = f"the last complete scan, of {format_instant(complete.recorded_at)}, is too old"
    if last and not _is_old(last.recorded_at):
        return f"scans come, but {problem}: check_consistency says why"
    return f"{problem}: does cron still run check_consistency?"


def _is_old(moment: datetime) -> bool:
    return timezone.now() - moment > timedelta(hours=settings.CONSISTENCY_MAX_AGE)
