"""Forms that were shown before somebody else, or a scan, changed what they are about: nothing is done unseen."""

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history.silence import acknowledge, end_acknowledgement
from consistency.history.turns import hold as held
from consistency.models import File
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import HOSTILE, LIST, get, page_of, post, stale
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

ORPHANED = "orphaned_processing"
ACKNOWLEDGE: dict[str, Any] = {"length": "1d", "reason": "being requeued"}


def seen_on(text: str) -> list[str]:
    """What the page's forms carry."""
    return re.findall(r'name="seen" value="([^"]+)"', text)


def form_of(client: Client, one: Anomaly) -> dict[str, Any]:
    """The page of one, as somebody opened it."""
    return {"seen": seen_on(get(client, page_of(one)))[0]}


def answer_to(client: Client, one: Anomaly, act: str, **sent: Any) -> str:
    text: str = post(client, f"{LIST}{one.pk}/act/{act}/", status=409, **sent).content.decode()
    return text


def one_stale() -> Anomaly:
    stale("a")
    recorded(STALE)
    return anomaly("a")


def with_ada(one: Anomaly) -> None:
    acknowledge([one.pk], until=in_days(1), by="ada", reason="on it")


# --- One anomaly -----------------------------------------------------------------------------------------
def test_a_detail_that_nobody_saw_is_not_acknowledged(client: Client, reviewer: User) -> None:
    a_job(5, "failed", of="a")
    a_file("a", "processing", job=5)
    recorded(ORPHANED)
    one = anomaly("a", ORPHANED)
    opened = form_of(client, one)
    a_job(6, "cancelled", of="a")
    File.objects.update(job=6)
    recorded(ORPHANED)
    now = anomaly("a", ORPHANED).detail
    assert now != one.detail
    text = answer_to(client, one, "acknowledge", **opened, **ACKNOWLEDGE)
    assert "Nothing was done: this has changed since the page was shown." in text
    assert f"Its detail is now “{now}”" in text
    assert 'value="being requeued"' in text
    assert anomaly("a", ORPHANED).acknowledged_until is None
    assert not LogEntry.objects.exists()
    post(client, f"{LIST}{one.pk}/act/acknowledge/", seen=seen_on(text)[0], **ACKNOWLEDGE)
    assert anomaly("a", ORPHANED).acknowledged_by == "ann"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_ada, r"Ada acknowledged it until \d{4}-\d\d-\d\d \d\d:\d\d UTC: on it"),
        (lambda one: Anomaly.objects.update(assignee="ada"), "It is now assigned to ada"),
        (lambda one: Anomaly.objects.update(note="asked\nthe uploader"), "Its note is now “asked the uploader”"),
        (lambda one: (File.objects.all().delete(), recorded(STALE)), "A scan has noted it as resolved"),
        (lambda one: Anomaly.objects.update(returned_count=1), "It came back after it was resolved"),
    ],
    ids=["acknowledged", "assigned", "noted", "resolved", "back"],
)
@pytest.mark.parametrize("act", ["acknowledge", "end_acknowledgement", "assign", "note"])
def test_of_two_reviewers_the_last_is_told_what_the_first_did_and_overwrites_nothing(
    client: Client, reviewer: User, act: str, change: Callable[[Anomaly], Any], words: str
) -> None:
    one = one_stale()
    opened = form_of(client, one)
    change(one)
    before = Anomaly.objects.values().get()
    text = answer_to(client, one, act, **opened, **ACKNOWLEDGE, assignee="ann", note="what I typed")
    assert re.search(f">{words}</li>", text)
    assert Anomaly.objects.values().get() == before
    assert not LogEntry.objects.exists()
    if act == "note":
        assert "what I typed</textarea>" in text
    if act == "assign":
        assert '<option value="ann" selected>' in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: end_acknowledgement([one.pk]), "Its acknowledgement is over"),
        (lambda one: Anomaly.objects.update(acknowledged_until=in_days(-1)), "Its acknowledgement is over"),
        (lambda one: Anomaly.objects.update(assignee=None), "It is now assigned to nobody"),
        (lambda one: Anomaly.objects.update(note=""), "Its note is gone"),
        (lambda one: Anomaly.objects.update(note=HOSTILE), "Its note is now “&lt;script&gt;alert"),
    ],
    ids=["ended", "past its time", "to nobody", "no note", "hostile"],
)
def test_what_is_gone_is_told_too(client: Client, reviewer: User, change: Callable[[Anomaly], Any], words: str) -> None:
    one = one_stale()
    with_ada(one)
    Anomaly.objects.update(assignee="ada", note="asked")
    opened = form_of(client, one)
    change(one)
    text = answer_to(client, one, "end_acknowledgement", **opened, reason="done with it")
    assert f">{words}" in text
    assert "<script>alert" not in text


def test_who_is_no_choice_any_more_since_another_was_assigned_is_told_so_and_offered_that_one(
    client: Client, reviewer: User
) -> None:
    one = one_stale()
    Anomaly.objects.update(assignee="bob, who left")
    opened = form_of(client, one)
    Anomaly.objects.update(assignee="ann")
    text = answer_to(client, one, "assign", **opened, assignee="bob, who left")
    assert "It is now assigned to ann" in text
    assert '<option value="ann" selected>' in text
    assert anomaly("a").assignee == "ann"


def test_a_scan_that_sees_the_same_again_is_in_nobodys_way(client: Client, reviewer: User) -> None:
    one = one_stale()
    opened = form_of(client, one)
    recorded(STALE)
    post(client, f"{LIST}{one.pk}/act/acknowledge/", **opened, **ACKNOWLEDGE)
    assert anomaly("a").acknowledged_by == "ann"


@pytest.fixture
def just_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let somebody else do this in the moment before an act locks its rows."""

    def arranged(statement: str) -> None:
        def hold(*about: Any) -> list[Anomaly]:
            with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
                other.execute(statement)
            return held(*about)

        monkeypatch.setattr("consistency.admin.acts.hold", hold)

    return arranged


def test_what_changes_at_that_very_moment_is_seen_under_the_lock(
    client: Client, reviewer: User, just_before: Callable[[str], None]
) -> None:
    one = one_stale()
    opened = form_of(client, one)
    just_before("UPDATE consistency_anomaly SET note = 'a moment before'")
    text = answer_to(client, one, "note", **opened, note="mine")
    assert "Its note is now “a moment before”" in text
    assert anomaly("a").note == "a moment before"


def test_what_is_wrong_in_the_form_keeps_what_was_seen_first(client: Client, reviewer: User) -> None:
    one = one_stale()
    opened = form_of(client, one)
    text = post(client, f"{LIST}{one.pk}/act/acknowledge/", status=400, **opened, length="1d").content.decode()
    assert seen_on(text) == [opened["seen"]]


def test_an_act_that_is_asked_for_by_its_address_leads_to_the_page_that_shows_what_it_is_about(
    client: Client, reviewer: User
) -> None:
    one = one_stale()
    answer = client.get(f"{LIST}{one.pk}/act/acknowledge/?_changelist_filters=state%3Dall", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{page_of(one)}?_changelist_filters=state%3Dall")


def test_one_that_is_forgotten_at_that_moment_is_said_to_be(
    client: Client, reviewer: User, just_before: Callable[[str], None]
) -> None:
    one = one_stale()
    opened = form_of(client, one)
    just_before("DELETE FROM consistency_anomaly")
    post(client, f"{LIST}{one.pk}/act/note/", **opened, note="mine")
    assert f"Anomaly with ID “{one.pk}”" in get(client, "/admin/")


# --- Those that are ticked in the list -------------------------------------------------------------------
def ticked(client: Client, *names: str) -> dict[str, Any]:
    """The page that asks for the reason, of those that are ticked in the list."""
    sent: dict[str, Any] = {"action": "acknowledge", "select_across": "0"}
    sent |= {"_selected_action": [anomaly(name).pk for name in names], "seen": seen_on(get(client, LIST))}
    text = post(client, LIST, status=200, index="0", **sent).content.decode()
    return sent | {"seen": seen_on(text), "sent": "1", **ACKNOWLEDGE}


def test_of_those_ticked_none_is_acknowledged_while_one_is_not_what_the_list_showed(
    client: Client, reviewer: User
) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    sent = ticked(client, "a", "b")
    Anomaly.objects.filter(object_id="b").update(detail="something else")
    with_ada(anomaly("c"))
    text = post(client, LIST, status=409, **sent).content.decode()
    assert f"{STALE}: b.mp4: its detail is now “something else”." in text
    assert "c.mp4" not in text
    assert 'value="being requeued"' in text
    assert set(Anomaly.objects.filter(acknowledged_until__isnull=False)) == {anomaly("c")}
    assert not LogEntry.objects.exists()
    post(client, LIST, **sent | {"seen": seen_on(text)})
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 2


def test_of_those_ticked_what_the_list_leaves_out_since_is_told_before_the_others_are_acted_on(
    client: Client, reviewer: User
) -> None:
    stale("a", "b")
    recorded(STALE)
    sent = ticked(client, "a", "b")
    with_ada(anomaly("b"))
    text = post(client, LIST, status=409, **sent).content.decode()
    assert f"{STALE}: b.mp4: ada acknowledged it until" in text
    assert "1 anomaly" in text
    post(client, LIST, **sent | {"seen": seen_on(text)})
    assert [anomaly(name).acknowledged_by for name in "ab"] == ["ann", "ada"]


def test_of_many_that_have_changed_some_are_told_and_how_many_more(client: Client, reviewer: User) -> None:
    names = [f"s{number}" for number in range(13)]
    stale(*names)
    recorded(STALE)
    sent = ticked(client, *names)
    Anomaly.objects.filter(object_id="s0").delete()
    Anomaly.objects.update(note="another")
    text = post(client, LIST, status=409, **sent).content.decode()
    assert text.count("its note is now") + text.count("it is forgotten") == 10
    assert "And 3 more." in text
