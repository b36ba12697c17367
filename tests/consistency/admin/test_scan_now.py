"""Scans that people start in the admin: the result, the progress, and failures."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from consistency.history import recorder
from consistency.history.recorder import Recorder
from consistency.history.tasks import HEARTBEAT_TIMEOUT
from consistency.models.history import BackgroundTask, Scan
from tests.consistency.admin.pages import OVERVIEW, SEE, get, post, stale
from tests.consistency.history.data import holding, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

NOW = "/admin/consistency/scan/now/"


@contextmanager
def another_scan(database: str = "default") -> Iterator[None]:
    """Record another scan of the database meanwhile."""
    with Recorder(database, trigger="command", actor="cron", seconds=5):
        yield


def state_of_scan(text: str) -> str:
    """Return the part of the overview beside the status: progress, failure, button."""
    return text.partition('<div class="actions">')[2].partition("</section>")[0]


def wait_for(client: Client, word: str) -> str:
    """Return that part once it contains a word."""
    deadline = time.monotonic() + 30
    while word not in (text := state_of_scan(get(client, OVERVIEW))):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text


def test_scan_now_records_and_says_what_it_found(client: Client, reviewer: User) -> None:
    stale("a")
    post(client, NOW)
    scan = Scan.objects.get()
    assert (scan.trigger, scan.actor, scan.new) == ("admin", "ann", 2)
    assert f"Scan {scan.pk}: 2 new, 0 returned, 0 resolved." in get(client, OVERVIEW)
    assert f"Scan {scan.pk}: " not in get(client, OVERVIEW)
    task = BackgroundTask.objects.get()
    assert (task.by, task.database, task.done, task.total, task.failed) == ("ann", "default", 4, 4, False)
    page = get(client, f"/admin/consistency/scan/{scan.pk}/change/")
    assert "could" not in page.partition("<tbody>")[2]
    assert "Accepted tables: public.files, public.identities, public.monitor_jobs." in page


def test_scan_now_says_so_while_another_scan_records(client: Client, reviewer: User) -> None:
    with another_scan():
        assert "Scanning" in get(client, OVERVIEW)
        post(client, NOW)
        assert "Scan of default: Not recorded: another scan of database" in get(client, OVERVIEW)
    assert not Scan.objects.exists()
    assert "Scanning" not in get(client, OVERVIEW)


def test_a_scan_of_one_database_is_not_under_way_on_another(client: Client, reviewer: User) -> None:
    with another_scan("replica"):
        assert "Scanning" not in get(client, OVERVIEW)


def test_a_scan_under_way_shows_its_progress_and_the_overview_reloads_itself(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.background.PAGE_TIMEOUT", 0.2)
    monkeypatch.setattr("consistency.scan.snapshot.LOCK_TIMEOUT", 8.0)
    with holding("LOCK TABLE monitor_jobs IN ACCESS EXCLUSIVE MODE"):
        post(client, NOW)
        wait_for(client, "now orphaned_processing")
        text = get(client, OVERVIEW)
    assert "1 of 4 checks done, now orphaned_processing" in text
    assert '<progress max="4" value="1"' in text
    assert '<meta http-equiv="refresh"' in text
    wait_for(client, "Scan now")
    assert Scan.objects.count() == 1


def test_while_a_scan_is_recorded_its_progress_says_so(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.background.PAGE_TIMEOUT", 0)
    with holding("LOCK TABLE consistency_scan IN EXCLUSIVE MODE"):
        post(client, NOW)
        text = wait_for(client, "recording")
    assert "Scanning: 4 of 4 checks done, now recording" in text
    assert '<progress max="4" value="4"' in text
    wait_for(client, "Scan now")
    assert Scan.objects.count() == 1


def test_the_pause_between_two_passes_is_not_taken_for_a_dead_task(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.CONSISTENCY_CONFIRM = 600
    monkeypatch.setattr("consistency.admin.background.PAGE_TIMEOUT", 0)
    with holding("LOCK TABLE files IN ACCESS EXCLUSIVE MODE"):
        post(client, NOW)
        wait_for(client, "now first of two passes")
        task = BackgroundTask.objects.get()
    assert task.updated_at > timezone.now() + timedelta(seconds=600) - HEARTBEAT_TIMEOUT
    # Without findings in the first pass there is no pause.
    wait_for(client, "Scan now")


def test_the_reason_of_a_scan_that_was_not_recorded_is_an_error_for_everybody_until_the_next_scan(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch, person: Callable[..., User]
) -> None:
    recorded()
    monkeypatch.setattr(recorder, "WRITE_TIMEOUT", 1.0)
    with holding("LOCK TABLE consistency_scan IN EXCLUSIVE MODE"):
        post(client, NOW)
        time.sleep(1)
        text = get(client, OVERVIEW)
    assert '<li class="error">Scan of default: Scanned, but not recorded: history in database' in text
    for name in ("bob", "eve"):
        person(*SEE, name=name)
        alarm = state_of_scan(get(client, OVERVIEW))
        assert re.search(r'alert">\d{4}-\d\d-\d\d \d\d:\d\d UTC: Scanned, but not recorded: history in', alarm)
    recorded()
    assert "not recorded" not in state_of_scan(get(client, OVERVIEW))


def test_scan_now_is_a_post_with_the_permission(client: Client, person: Callable[..., User]) -> None:
    person(*SEE)
    post(client, NOW, status=403)
    person("scan_now", name="bob")
    assert client.get(NOW, secure=True).status_code == 405
    post(client, NOW, status=404, database="nowhere")
    assert not Scan.objects.exists()


def test_a_post_without_a_csrf_token_is_refused(reviewer: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(reviewer)
    assert strict.post(NOW, secure=True).status_code == 403
    assert not Scan.objects.exists()
