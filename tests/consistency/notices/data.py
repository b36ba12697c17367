"""Scans and their notices, for tests."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from consistency.history.scanning import record_scan
from consistency.history.suppression import acknowledge, end_acknowledgement, mute
from consistency.models.history import Anomaly
from consistency.notices.notice import NEW, Notice, notice_of
from consistency.registry import Check
from consistency.scan.selection import select_checks
from tests.consistency.data import a_file, delete_files

LATER = timedelta(days=1)


def stale() -> list[Check]:
    return select_checks(["stale_processing"])


def scan_notice(checks: list[Check] | None = None, **options: Any) -> Notice | None:
    """Scan and record; return the notice."""
    recorded = record_scan(checks or stale(), trigger="command", **options)
    assert recorded.scan, recorded.problem
    return notice_of(recorded)


def kinds(checks: list[Check] | None = None, **options: Any) -> list[str]:
    """Scan and record; return the kinds of the notice, none without a notice."""
    notice = scan_notice(checks, **options)
    return [check.kind for check in notice.checks] if notice else []


def mute_check(name: str = "stale_processing", **options: Any) -> None:
    mute(name, until=timezone.now() + LATER, by="ada", reason="known", **options)


def acknowledge_file(name: str) -> None:
    acknowledge([pk_of(name)], until=timezone.now() + LATER, by="ada", reason="known")


def end_by_hand(name: str) -> None:
    end_acknowledgement([pk_of(name)])


def expire(name: str) -> None:
    """Let the time of an acknowledgement be over."""
    Anomaly.objects.filter(pk=pk_of(name)).update(acknowledged_until=timezone.now())


def repair(name: str) -> None:
    delete_files(file_uuid=name)


def pk_of(name: str) -> int:
    return Anomaly.objects.get(object_id=name).pk


def one_open_one_known() -> None:
    """Record two findings; "known" is acknowledged."""
    a_file("open", "processing")
    a_file("known", "processing")
    assert kinds() == [NEW]
    acknowledge_file("known")
    assert kinds() == []
