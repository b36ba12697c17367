"""Scans that people start from the admin: what they are told, whatever becomes of the line in the log."""

import re
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from config.demo.process import until
from consistency.admin.scan_thread import Scanning, progress
from consistency.history.writing import Memory
from consistency.models.history import Scan
from consistency.registry import CHECKS
from tests.consistency.admin.pages import OVERVIEW, get, post, stale
from tests.consistency.history.data import REST, STALE, holding, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

NOW = "/admin/consistency/scan/now/"


def test_a_recorded_scan_is_told_while_the_admins_log_is_locked_and_its_thread_ends(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.scanning.PATIENCE", 1.0)
    monkeypatch.setattr("consistency.api.access.LOG_SECONDS", 1.5)
    stale("a")
    with holding("LOCK TABLE django_admin_log IN EXCLUSIVE MODE"):
        post(client, NOW)
        scan = Scan.objects.get()
        assert f"Scan {scan.pk}: 2 new, 0 returned, 0 resolved." in get(client, OVERVIEW)
        time.sleep(1)
    time.sleep(0.5)
    assert not LogEntry.objects.filter(object_id=str(scan.pk)).exists()


def test_a_scan_without_a_line_in_the_log_is_recorded_and_told(client: Client, reviewer: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_admin_log RENAME TO elsewhere")
    try:
        post(client, NOW)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_admin_log")
    assert f"Scan {Scan.objects.get().pk}: 0 new" in get(client, OVERVIEW)


def test_why_a_scan_was_not_recorded_is_told_in_red(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.sql.LAST_SNAPSHOT", "SELECT 1 / 0, %s")
    post(client, NOW)
    assert '<li class="error">Scanned, but not recorded: PostgreSQL refused it.' in get(client, OVERVIEW)
    assert "not recorded: PostgreSQL refused it" in LogEntry.objects.get().change_message


def alarm(text: str) -> str:
    """What the overview says beside *Scan now*, to everybody."""
    return text.partition('<div class="acts">')[2].partition("</section>")[0]


def test_that_a_scan_was_not_recorded_is_dated_and_told_no_more_once_another_one_is(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded()
    monkeypatch.setattr("consistency.history.writing.LOCK_TIMEOUT", "100ms")
    with holding("LOCK TABLE consistency_scan IN EXCLUSIVE MODE"):
        post(client, NOW)
    for _ in range(2):
        told = alarm(get(client, OVERVIEW))
        assert re.search(r'alert">\d{4}-\d\d-\d\d \d\d:\d\d UTC: Scanned, but not recorded: another session', told)
    recorded()
    assert "not recorded" not in alarm(get(client, OVERVIEW))


def test_while_a_scan_is_recorded_its_progress_says_so(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.scanning.PATIENCE", 0)
    with holding("LOCK TABLE consistency_scan IN EXCLUSIVE MODE"):
        post(client, NOW)
        for _ in until(30):
            if "recording" in (text := alarm(get(client, OVERVIEW))):
                break
        assert "Scanning: 4 of 4 checks done, recording" in text
        assert '<progress max="4" value="4"' in text
    for _ in until(30):
        if "Scanning" not in get(client, OVERVIEW) and Scan.objects.exists():
            break
    assert Scan.objects.count() == 1


def test_a_check_that_is_asked_again_is_not_counted_twice(reviewer: User) -> None:
    checks = [CHECKS[name] for name in (STALE, REST)]
    scanning = Scanning(checks=checks, database="default", actor="ann", then=lambda done: None)
    other = Memory("default", trigger="command", actor="cron", seconds=5)
    try:
        for check in [*checks, *checks]:
            scanning._at(check)
        assert progress("default") == {"done": 1, "of": 2, "check": REST}
    finally:
        other.close()


def test_a_scan_of_one_database_is_not_under_way_on_another(reviewer: User) -> None:
    other = Memory("replica", trigger="command", actor="cron", seconds=5)
    try:
        assert progress("replica") is not None
        assert progress("default") is None
    finally:
        other.close()
