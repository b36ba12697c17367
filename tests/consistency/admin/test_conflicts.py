"""Actions while a recording holds the anomalies: a bounded wait, then a refusal that keeps the form."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history import locks
from consistency.models.history import Anomaly, AnomalyEvent
from tests.consistency.admin.pages import LIST, post, stale
from tests.consistency.history.data import STALE, anomaly, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

SENT: dict[str, Any] = {"category": "later", "length": "1d", "reason": "being requeued"}


@contextmanager
def recording() -> Iterator[psycopg.Connection[Any]]:
    """Hold the anomalies in another session, as a recording does."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        locks.lock_anomalies(other.cursor())
        yield other
        other.rollback()


def acknowledged() -> set[str]:
    return set(Anomaly.objects.filter(acknowledged_until__isnull=False).values_list("object_id", flat=True))


@pytest.mark.parametrize("select", [False, True], ids=["page", "selected"])
def test_an_action_while_a_scan_is_recorded_is_refused_and_keeps_the_form(
    client: Client,
    reviewer: User,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    select: bool,
) -> None:
    monkeypatch.setattr("consistency.admin.actions.changing_anomalies", lambda: locks.changing_anomalies(0.2))
    stale("a")
    recorded(STALE)
    url, sent = f"{LIST}{anomaly('a').pk}/act/acknowledge/", SENT
    if select:
        url = LIST
        sent = {"action": "acknowledge", "select_across": "0", "_selected_action": anomaly("a").pk, "sent": "1", **SENT}
    with recording():
        text = post(client, url, status=409, **sent).content.decode()
    assert "A scan is being recorded: try again in a moment." in text
    assert 'value="being requeued"' in text
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]
    assert not acknowledged()
    assert not AnomalyEvent.objects.exclude(by="").exists()


def test_an_action_waits_for_a_short_recording(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with recording() as other:
        release = Timer(0.3, other.commit)
        release.start()
        post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **SENT)
        release.join()
    assert acknowledged() == {"a"}
