"""Background tasks that people start in the admin: scans and bulk actions, with messages about both."""

from array import array
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from common.text import printable
from consistency.admin.base import overview_url
from consistency.admin.forms import ActionForm
from consistency.history.locks import AlreadyRunningError
from consistency.history.retention import prune
from consistency.history.scanning import record_scan
from consistency.history.tasks import Progress, TaskFailed, running_tasks, start_task, take_results
from consistency.models.history import Anomaly, Trigger
from consistency.notices.delivery import notify_later
from consistency.registry import Check

SCAN_TIMEOUT: Final = 60.0
"""Seconds per pass, as on the command line."""
PAGE_TIMEOUT: Final = 2.0
"""Seconds that the browser waits for a quick scan."""
BATCH_SIZE: Final = 5000
BATCH_LOCK_TIMEOUT: Final = 150.0
"""Seconds that a batch waits for the anomalies. A recording holds the anomalies for at most two minutes."""


# --- Messages --------------------------------------------------------------------------------------------
def add_task_messages(request: HttpRequest) -> None:
    """Add the progress of all running bulk actions, and the new results of this person."""
    for task in running_tasks(database=""):
        progress = f"{task.done:,} of {task.total:,}" if task.total else "starting"
        messages.info(request, printable(f"{task.title}, started by {task.by}: {progress}."))
    add_results(request)


def add_results(request: HttpRequest) -> None:
    """Add the results of the tasks of this person that were not reported yet."""
    for task in take_results(request.user.get_username()):
        text = f"{task.title}: {task.result}" if task.failed else task.result
        messages.add_message(request, messages.ERROR if task.failed else messages.SUCCESS, printable(text))


# --- Scans -----------------------------------------------------------------------------------------------
def start_scan(request: HttpRequest, checks: Sequence[Check], database: str) -> None:
    """Start a recorded scan. Add a message with its result, or a link to the overview while the scan runs."""
    by = request.user.get_username()
    work = partial(_scan, checks=checks, database=database, by=by)
    _, thread = start_task(work, title=f"Scan of {database}", by=by, database=database, total=len(checks))
    thread.join(PAGE_TIMEOUT)
    if thread.is_alive():
        html = 'The scan is under way. The <a href="{}">overview</a> shows its progress.'
        messages.info(request, format_html(html, overview_url(request, database)))
    else:
        add_results(request)


def _scan(progress: Progress, *, checks: Sequence[Check], database: str, by: str) -> str:
    started = count()
    if pause := settings.CONSISTENCY_CONFIRM:
        # The first pass and the pause report no progress.
        progress.update(step="first of two passes", next_update_after=timedelta(seconds=SCAN_TIMEOUT + pause))
    try:
        recorded = record_scan(
            checks,
            trigger=Trigger.ADMIN,
            database=database,
            actor=by,
            timeout=SCAN_TIMEOUT,
            limit=0,
            progress=lambda check: progress.update(done=next(started), step=check.name),
            before_recording=lambda: progress.update(done=len(checks), step="recording"),
        )
    except AlreadyRunningError as problem:
        raise TaskFailed(f"Not recorded: {problem}") from None
    if recorded.scan is None:
        raise TaskFailed(f"Scanned, but not recorded: {recorded.problem}.")
    notify_later(recorded)
    prune()
    return f"Scan {recorded.scan.id}: {recorded.scan.changes}."


# --- Bulk actions ----------------------------------------------------------------------------------------
def start_bulk_action(request: HttpRequest, form: ActionForm, anomalies: QuerySet[Anomaly]) -> bool:
    """Start to apply an action to more anomalies than a request can change. Return False if the form is not valid."""
    if not form.is_valid():
        return False
    by, query = request.user.get_username(), request.META["QUERY_STRING"]
    which = "selected rows"
    if request.POST.get("select_across") == "1":
        which = f"filter: {query}" if query else "no filter"
    work = partial(_apply_in_batches, form=form, by=by, anomalies=anomalies)
    start_task(work, title=f"{form.title} ({which})", by=by)
    return True


def _apply_in_batches(progress: Progress, *, form: ActionForm, by: str, anomalies: QuerySet[Anomaly]) -> str:
    """Change the anomalies that match at the start, in the order of their keys. An error keeps the changed batches."""
    keys = array("q")
    # A transaction keeps the server-side cursor, also behind a pooler.
    with transaction.atomic():
        keys.extend(anomalies.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=10_000))
    progress.update(total=len(keys))
    changed = 0
    for start in range(0, len(keys), BATCH_SIZE):
        batch = keys[start : start + BATCH_SIZE].tolist()
        changed += form.apply(batch, by, wait=BATCH_LOCK_TIMEOUT)
        progress.update(done=start + len(batch))
    return form.result(changed, len(keys) - changed)
