"""Acts on few anomalies while others hold them: no turn, no deadlock, nothing typed in vain, and no false word."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, Timer
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history import turns
from consistency.models import File
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, get, post, stale
from tests.consistency.api.data import Ask
from tests.consistency.history.data import STALE, anomaly, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

SENT: dict[str, Any] = {"length": "1d", "reason": "being requeued"}


@contextmanager
def another() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's transaction."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        yield other
        other.rollback()


def changed(other: psycopg.Connection[Any], name: str) -> None:
    other.execute("UPDATE consistency_anomaly SET times_seen = times_seen + 1 WHERE object_id = %s", [name])


def selected(*names: str) -> dict[str, Any]:
    return {"action": "acknowledge", "select_across": "0", "_selected_action": [anomaly(name).pk for name in names]}


def acknowledged() -> set[str]:
    return set(Anomaly.objects.filter(acknowledged_until__isnull=False).values_list("object_id", flat=True))


# --- Turns -----------------------------------------------------------------------------------------------
def test_few_take_no_turn_while_a_scan_is_recorded(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    with another() as other:
        turns.take_turn_to_record(other)
        post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **SENT)
        post(client, LIST, **selected("b"), sent="1", **SENT)
    assert acknowledged() == {"a", "b"}


def test_recordings_of_two_databases_go_on_beside_each_other() -> None:
    stale("a")
    with another() as other:
        turns.take_turn_to_record(other)
        recorded(STALE)
    assert anomaly("a").times_seen == 1


def test_what_others_hold_is_refused_with_all_that_was_typed_and_is_no_outage(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    stale("a")
    recorded(STALE)
    with another() as other:
        changed(other, "a")
        text = post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=409, **SENT).content.decode()
    assert "A scan is being recorded: try again in a moment." in text
    assert 'value="being requeued"' in text
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]
    assert not acknowledged()
    assert not LogEntry.objects.exists()


def test_what_others_hold_is_refused_over_rest_too(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    stale("a")
    recorded(STALE)
    path = f"/anomalies/{anomaly('a').pk}/acknowledge"
    with another() as other:
        changed(other, "a")
        for answer in (ask(path, {"for": "1d", "reason": "x"}), ask(path, method="delete")):
            assert (answer.status_code, answer["Retry-After"]) == (409, "10")
            assert "is being recorded" in answer.json()["detail"]


def test_what_others_hold_for_a_moment_is_waited_for(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with another() as other:
        changed(other, "a")
        freed = Timer(0.3, other.commit)
        freed.start()
        post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **SENT)
        freed.join()
    assert acknowledged() == {"a"}
    assert anomaly("a").times_seen == 2


def test_who_waits_for_one_row_holds_no_other_so_that_a_recording_meets_no_deadlock(
    client: Client, reviewer: User
) -> None:
    stale("a", "b")
    recorded(STALE)
    first, last = Anomaly.objects.order_by("pk")
    took: list[float] = []

    with another() as other:

        def go_on() -> None:
            time.sleep(0.3)
            began = time.monotonic()
            changed(other, first.object_id)
            took.append(time.monotonic() - began)

        changed(other, last.object_id)
        recording = Thread(target=go_on)
        recording.start()
        post(client, LIST, status=409, **selected("a", "b"), sent="1", **SENT)
        recording.join()
    assert len(took) == 1
    assert took[0] < 0.5


# --- What is said to be done -----------------------------------------------------------------------------
def test_what_a_scan_resolved_meanwhile_is_not_said_to_be_acknowledged(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    File.objects.all().delete()
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **SENT)
    text = get(client, LIST)
    assert '<li class="warning">Acknowledged: 0 anomalies. Left alone: 1, resolved already.</li>' in text
    assert not LogEntry.objects.exists()


def test_of_open_and_resolved_ones_the_log_tells_of_those_that_changed(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    File.objects.filter(file_uuid="b").delete()
    recorded(STALE)
    post(client, f"{LIST}?state=all", **selected("a", "b"), sent="1", **SENT)
    assert acknowledged() == {"a"}
    assert LogEntry.objects.get().object_id == str(anomaly("a").pk)
    words = "Acknowledged: 1 anomaly. Left alone: 1, resolved already."
    assert f'<li class="success">{words}</li>' in get(client, LIST)


def test_an_acknowledgement_that_is_not_there_is_not_said_to_be_ended(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/end_acknowledgement/", reason="done with it")
    assert "Acknowledgement ended: 0 anomalies. Left alone: 1, not acknowledged." in get(client, LIST)
    assert not LogEntry.objects.exists()


def test_an_act_on_what_matches_no_more_says_so(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    chosen = selected("a")
    File.objects.all().delete()
    recorded(STALE)
    post(client, LIST, **chosen, sent="1", **SENT)
    assert "Acknowledged: 0 anomalies. Nothing matches any more." in get(client, LIST)
    assert not LogEntry.objects.exists()
