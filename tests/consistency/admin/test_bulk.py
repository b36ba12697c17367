"""Actions on more anomalies than a request can change: a background task in batches, with progress for everybody."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from consistency.admin import anomalies, background
from consistency.history import suppression, tasks
from consistency.history.locks import changing_anomalies
from consistency.history.suppression import assign
from consistency.models.history import Anomaly, AnomalyEvent, BackgroundTask, Scan
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, get, post, stale
from tests.consistency.history.data import STALE, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

ALL: dict[str, Any] = {
    "action": "assign",
    "select_across": "1",
    "_selected_action": "0",
    "sent": "1",
    "assignee": "ann",
}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[Thread]:
    """More than five go on in the background, four at a time; returns the threads."""
    started: list[Thread] = []

    def start(*arguments: Any, **options: Any) -> Any:
        task, thread = tasks.start_task(*arguments, **options)
        started.append(thread)
        return task, thread

    monkeypatch.setattr(anomalies, "MAX_AT_ONCE", 5)
    monkeypatch.setattr(background, "BATCH_SIZE", 4)
    monkeypatch.setattr(background, "start_task", start)
    return started


@pytest.fixture
def nine(reviewer: User) -> None:
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)


def test_the_person_who_started_a_bulk_action_reads_its_result_once(
    client: Client, reviewer: User, nine: None, threads: list[Thread], person: Callable[..., User]
) -> None:
    post(client, LIST, **ALL)
    threads[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == 9
    assert AnomalyEvent.objects.filter(by="ann", kind="assigned", text="to ann").count() == 9
    words = '<li class="success">Assigned: 9 anomalies.'
    person(*SEE, name="bob")
    assert words not in get(client, LIST)
    client.force_login(reviewer)
    assert words in get(client, LIST)
    assert words not in get(client, LIST)


def test_a_bulk_action_that_is_not_valid_starts_nothing(client: Client, nine: None, threads: list[Thread]) -> None:
    post(client, LIST, status=400, **ALL | {"assignee": "nobody_known"})
    assert (threads, BackgroundTask.objects.count()) == ([], 0)


def test_a_bulk_action_that_ends_early_keeps_its_batches_and_says_how_many(
    client: Client, nine: None, threads: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = iter([None, None])

    def fail_at_the_third(keys: Any, **options: Any) -> int:
        next(batches)
        return assign(keys, **options)

    monkeypatch.setattr(suppression, "assign", fail_at_the_third)
    post(client, f"{LIST}?check={STALE}", **ALL)
    threads[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == AnomalyEvent.objects.filter(by="ann").count() == 8
    words = f"Assign (filter: check={STALE}): Ended early, after 8 of 9. The log says why."
    assert f'<li class="error">{words}</li>' in get(client, OVERVIEW)


def test_everybody_sees_the_progress_until_the_task_has_died(
    client: Client, reviewer: User, nine: None, threads: list[Thread], person: Callable[..., User]
) -> None:
    post(client, LIST, **ALL)
    threads[0].join(30)
    BackgroundTask.objects.update(finished_at=None, done=8, result="")
    words = "Assign (no filter), started by ann: 8 of 9."
    for _ in range(2):
        assert words in get(client, LIST)
    assert words in get(client, OVERVIEW)
    person(*SEE, name="bob")
    assert words in get(client, LIST)
    BackgroundTask.objects.update(updated_at=timezone.now() - timedelta(minutes=4))
    assert "8 of 9" not in get(client, LIST)
    client.force_login(reviewer)
    assert "Ended early, after 8 of 9: the server process stopped." in get(client, LIST)
    assert "8 of 9" not in get(client, LIST)


def test_the_progress_is_stored_after_each_batch(
    client: Client, nine: None, threads: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress: list[tuple[int, int]] = []

    def look(keys: Any, **options: Any) -> int:
        task = BackgroundTask.objects.get()
        progress.append((task.done, task.total))
        return assign(keys, **options)

    monkeypatch.setattr(suppression, "assign", look)
    post(client, LIST, **ALL)
    threads[0].join(30)
    assert progress == [(0, 9), (4, 9), (8, 9)]


def test_a_recording_waits_while_anomalies_are_changed(reviewer: User) -> None:
    stale("a")

    def scan() -> None:
        recorded(STALE)
        connections.close_all()

    scanning = Thread(target=scan)
    with changing_anomalies():
        scanning.start()
        scanning.join(1)
        assert scanning.is_alive()
        assert not Scan.objects.exists()
    scanning.join(30)
    assert Scan.objects.count() == 1


def test_a_batch_waits_for_a_recording(
    client: Client, nine: None, threads: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    with changing_anomalies():
        post(client, LIST, **ALL)
        threads[0].join(2.5)
        assert threads[0].is_alive()
    threads[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == 9
