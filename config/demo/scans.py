"""The scans of the demo."""

from collections.abc import Callable

from consistency.history.scanning import Recorded, read_scan, record_scan
from consistency.models.history import Trigger
from consistency.registry import CHECKS, Check
from consistency.scan.report import Report
from consistency.scan.selection import default_checks

__all__ = ["Recorded", "Report", "record", "scan_all"]

SCAN_TIMEOUT = 60.0


def scan_all(progress: Callable[[Check], None]) -> Report:
    """Run all checks, not only the default checks, to show every planted problem."""
    return read_scan(list(CHECKS.values()), timeout=SCAN_TIMEOUT, progress=progress)


def record() -> Recorded:
    """Record a scan of the default checks, as cron does."""
    return record_scan(default_checks(), trigger=Trigger.COMMAND, timeout=SCAN_TIMEOUT, confirm=0)
