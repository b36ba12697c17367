"""Whether complete scans still come: one rule, for health and for the overview."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from common.times import format_instant
from consistency.history.lists import first_scan
from consistency.models.history import Scan

AHEAD: Final = timedelta(minutes=5)
"""How far two clocks may differ."""


def why_too_old(complete: Scan | None, last: Scan | None, database: str) -> str | None:
    """What is wrong with these, the last complete scan of a database and its last one; None if nothing is.

    Where none was ever complete, the first scan tells since when: it is kept for that.
    """
    if not settings.CONSISTENCY_MAX_AGE:
        return None
    if complete and complete.recorded_at - timezone.now() > AHEAD:
        return f"the last complete scan is dated in the future, {_of(complete)}: was the clock set back?"
    since = complete or first_scan(database)
    if since is None or not _is_past(since.recorded_at):
        return None
    what = (
        f"the last complete scan, of {_of(complete)}, is too old"
        if complete
        else "no scan that is remembered was complete"
    )
    if last and not _is_past(last.recorded_at):
        return f"scans come, but {what}: check_consistency says why"
    return f"{what}: does cron still run check_consistency?"


def _is_past(moment: datetime) -> bool:
    return timezone.now() - moment > timedelta(hours=settings.CONSISTENCY_MAX_AGE)


def _of(scan: Scan) -> str:
    return format_instant(scan.recorded_at)
