"""Start a recorded scan in a background task."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html

from consistency.admin.base import overview_url
from consistency.admin.task_messages import add_results
from consistency.history.locks import AlreadyRunningError
from consistency.history.retention import prune
from consistency.history.scanning import record_scan
from consistency.history.tasks import Progress, TaskFailed, start_task
from consistency.models.history import Trigger
from consistency.notices.delivery import notify_later
from consistency.registry import Check

SCAN_TIMEOUT: Final = 60.0
"""Seconds per pass, as on the command line."""
PAGE_TIMEOUT: Final = 2.0
"""Seconds that the browser waits for a quick scan."""


def start_scan(request: HttpRequest, checks: Sequence[Check], database: str) -> None:
    """Start a scan. Add a message with its result, or a link to the overview while the scan runs."""
    by = request.user.get_username()
    work = partial(_scan, checks=checks, database=database, by=by)
    _, thread = start_task(work, title=f"Scan of {database}", by=by, database=database, total=len(checks))
    thread.join(PAGE_TIMEOUT)
    if thread.is_alive():
        link = format_html(
            'The scan is under way. The <a href="{}">overview</a> shows its progress.', overview_url(request, database)
        )
        messages.info(request, link)
    else:
        add_results(request)


def _scan(progress: Progress, *, checks: Sequence[Check], database: str, by: str) -> str:
    starts = count()

    def show_check(check: Check) -> None:
        progress.update(done=next(starts), step=check.name)

    if pause := settings.CONSISTENCY_CONFIRM:
        # The first pass and the pause report no progress.
        progress.update(step="first of two passes", expected_silence=timedelta(seconds=SCAN_TIMEOUT + pause))
    try:
        recorded = record_scan(
            checks,
            trigger=Trigger.ADMIN,
            database=database,
            actor=by,
            timeout=SCAN_TIMEOUT,
            limit=0,
            progress=show_check,
            before_recording=lambda: progress.update(done=len(checks), step="recording"),
        )
    except AlreadyRunningError as problem:
        raise TaskFailed(f"Not recorded: {problem}") from None
    if recorded.scan is None:
        raise TaskFailed(f"Scanned, but not recorded: {recorded.problem}.")
    notify_later(recorded)
    prune()
    return f"Scan {recorded.scan.id}: {recorded.scan.changes}."
