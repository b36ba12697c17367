"""Mutes in the admin where two act at one moment, where there is no such database, and for who may not look."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from consistency.admin import mutes
from consistency.memory.silence import mute, unmute
from consistency.models.memory import Mute
from tests.consistency.admin.pages import SEE, get, post
from tests.consistency.memory.data import REST, STALE, in_days

pytestmark = pytest.mark.usefixtures("transactional_db")

NEW = "/admin/consistency/mute/new/"
SENT: dict[str, Any] = {"check_name": STALE, "length": "7d", "reason": "the importer", "database": "default"}


def held(check: str = STALE) -> Mute:
    return mute(check, until=in_days(1), by="bob", reason="bob's secret", sticky=True)


def test_of_two_who_mute_at_one_moment_one_is_told_and_keeps_what_they_typed(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    held()
    # As if bob's had come between the end of the last one and ann's.
    monkeypatch.setattr("consistency.memory.silence._end", lambda *_: False)
    text = post(client, NEW, status=409, **SENT).content.decode()
    assert "Somebody else muted it at that moment" in text
    assert 'value="the importer"' in text
    assert (Mute.objects.get().by, LogEntry.objects.count()) == ("bob", 0)


def test_a_mute_is_ended_once_however_often_it_is_asked(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = held()

    def ended_by_another(check: str, **more: Any) -> bool:
        def end() -> None:
            unmute(STALE)
            connections.close_all()

        other = Thread(target=end)
        other.start()
        other.join()
        return unmute(check, **more)

    monkeypatch.setattr(mutes, "unmute", ended_by_another)
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    assert f"This mute of {STALE} had ended already" in get(client, "/admin/consistency/")
    assert not LogEntry.objects.exists()


def test_a_mute_that_has_taken_its_place_meanwhile_is_left_alone(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = held()

    def once_replaced(check: str, **more: Any) -> bool:
        held()
        return unmute(check, **more)

    monkeypatch.setattr(mutes, "unmute", once_replaced)
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    assert Mute.objects.get(ended_at=None).pk != one.pk
    assert not LogEntry.objects.exists()


def test_a_mute_past_its_time_is_not_told_as_ended_by_who_comes_late(client: Client, reviewer: User) -> None:
    one = held()
    Mute.objects.update(until=timezone.now())
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    one.refresh_from_db()
    assert (one.ended_because, LogEntry.objects.count()) == ("time", 0)


def test_a_database_that_does_not_exist_is_not_muted(client: Client, reviewer: User) -> None:
    text = post(client, NEW, status=400, **SENT | {"database": "nope"}, sticky="on").content.decode()
    assert "unknown database &#x27;nope&#x27;. Allowed: default." in text
    assert not Mute.objects.exists()


def test_who_may_mute_but_not_see_mutes_learns_nothing_of_one(client: Client, person: Callable[..., User]) -> None:
    path = f"/admin/consistency/mute/{held(REST).pk}/end/"
    person("mute_check")
    get(client, path, status=403)
    post(client, path, status=403, reason="x")
    assert Mute.objects.filter(ended_at=None).exists()
    post(client, NEW, **SENT)
    person(*SEE, "mute_check", name="eve")
    assert "bob&#x27;s secret" in get(client, path)
