"""Scans that people start from the admin: in the background, logged, and told as soon as they end."""

from collections.abc import Sequence
from typing import Final

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.http import HttpRequest
from django.utils.html import format_html

from consistency.admin.base import log, overview_address
from consistency.admin.scan_thread import Scanning
from consistency.api.access import fails_alone
from consistency.history.recorder import Recorded
from consistency.models.history import Scan
from consistency.registry import Check

PATIENCE: Final = 2.0
"""Seconds that the browser waits for a scan that may be quick."""


def scan_now(request: HttpRequest, checks: Sequence[Check], database: str) -> None:
    """Start a scan, and tell how it ended if it did at once; else the overview shows how far it is."""
    user, names = request.user.pk, ", ".join(check.name for check in checks)

    def logged(done: Recorded) -> None:
        rows = [Scan(pk=done.scan.id, database=database)] if done.scan else []
        became = str(done.scan.news) if done.scan else f"not recorded: {done.problem}"
        with fails_alone():
            log(user, Scan, f"Scanned from the admin ({names}): {became}", rows, ADDITION)

    scanning = Scanning(checks=checks, database=database, actor=request.user.get_username(), then=logged).start()
    scanning.ended.wait(PATIENCE)
    if not scanning.words:
        address = overview_address(request, database)
        messages.info(
            request, format_html('The scan is under way; <a href="{}">the overview</a> shows how far.', address)
        )
    elif scanning.failed:
        messages.error(request, scanning.words)
    else:
        messages.success(request, scanning.words)
