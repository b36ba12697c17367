"""Forms that are older than a change of the anomalies: nothing is done, and the page shows the new state."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.suppression import acknowledge, comment, end_acknowledgement
from consistency.models import File
from consistency.models.history import Anomaly, AnomalyEvent
from tests.consistency.admin.pages import HOSTILE, LIST, get, page_of, post, stale
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

ORPHANED = "orphaned_processing"
ACKNOWLEDGE: dict[str, Any] = {"category": "later", "length": "1d", "reason": "being requeued"}
CHANGED = "Some of these anomalies changed since the page was shown. Nothing was done"


def tokens_on(text: str) -> set[str]:
    """Return the state tokens in the forms of a page."""
    return set(re.findall(r'name="state_token" value="([^"]+)"', text))


def form_of(client: Client, one: Anomaly) -> dict[str, Any]:
    """Return the hidden field of the page of an anomaly, as a person opened the page."""
    (token,) = tokens_on(get(client, page_of(one)))
    return {"state_token": token}


def refused(client: Client, one: Anomaly, action: str, **sent: Any) -> str:
    text: str = post(client, f"{LIST}{one.pk}/act/{action}/", status=409, **sent).content.decode()
    assert CHANGED in text
    return text


def nothing_done() -> bool:
    return not AnomalyEvent.objects.filter(by="ann").exists()


def one_stale() -> Anomaly:
    stale("a")
    recorded(STALE)
    return anomaly("a")


def with_ada(one: Anomaly) -> None:
    acknowledge([one.pk], until=in_days(1), by="ada", reason="on call")


# --- One anomaly -----------------------------------------------------------------------------------------
def test_a_changed_detail_is_shown_before_it_is_acknowledged(client: Client, reviewer: User) -> None:
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
    text = refused(client, one, "acknowledge", **opened, **ACKNOWLEDGE)
    assert now in text
    assert 'value="being requeued"' in text
    assert anomaly("a", ORPHANED).acknowledged_until is None
    assert nothing_done()
    (token,) = tokens_on(text)
    post(client, f"{LIST}{one.pk}/act/acknowledge/", state_token=token, **ACKNOWLEDGE)
    assert anomaly("a", ORPHANED).acknowledged_by == "ann"


def resolved_by_a_scan(one: Anomaly) -> None:
    delete_files()
    recorded(STALE)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (with_ada, "Acknowledged by ada until "),
        (lambda one: Anomaly.objects.update(assignee="ada"), "assigned to ada"),
        (lambda one: comment([one.pk], text="asked\nthe uploader", by="ada"), "asked<br>the uploader"),
        (resolved_by_a_scan, "A scan has resolved the anomaly"),
        (lambda one: Anomaly.objects.update(returned_count=1), "returned once"),
    ],
    ids=["acknowledged", "assigned", "commented", "resolved", "returned"],
)
@pytest.mark.parametrize("action", ["acknowledge", "end_acknowledgement", "assign", "comment"])
def test_of_two_reviewers_the_last_sees_what_the_first_did_and_overwrites_nothing(
    client: Client, reviewer: User, action: str, change: Callable[[Anomaly], Any], shown: str
) -> None:
    one = one_stale()
    opened = form_of(client, one)
    change(one)
    before = Anomaly._base_manager.values().get()
    text = refused(client, one, action, **opened, **ACKNOWLEDGE, assignee="ann", comment="my own text")
    assert shown in text
    assert Anomaly._base_manager.values().get() == before
    assert nothing_done()
    if action == "comment":
        assert "my own text</textarea>" in text
    if action == "assign":
        assert '<option value="ann" selected>' in text


@pytest.mark.parametrize(
    "change",
    [
        lambda one: end_acknowledgement([one.pk]),
        lambda one: Anomaly.objects.update(acknowledged_until=in_days(-1)),
        lambda one: Anomaly.objects.update(assignee=None),
        lambda one: comment([one.pk], text=HOSTILE, by="ada"),
    ],
    ids=["ended", "past its time", "to nobody", "hostile comment"],
)
def test_the_end_of_a_state_is_a_change_too(client: Client, reviewer: User, change: Callable[[Anomaly], Any]) -> None:
    one = one_stale()
    with_ada(one)
    Anomaly.objects.update(assignee="ada")
    opened = form_of(client, one)
    change(one)
    text = refused(client, one, "end_acknowledgement", **opened, reason="requeued")
    assert "<script>alert" not in text


def test_a_choice_that_is_no_longer_possible_is_a_change_and_no_error(client: Client, reviewer: User) -> None:
    one = one_stale()
    Anomaly.objects.update(assignee="bob, who left")
    opened = form_of(client, one)
    Anomaly.objects.update(assignee="ann")
    text = refused(client, one, "assign", **opened, assignee="bob, who left")
    assert '<option value="ann" selected>' in text
    assert anomaly("a").assignee == "ann"


def test_a_scan_that_sees_the_same_again_changes_nothing(client: Client, reviewer: User) -> None:
    one = one_stale()
    opened = form_of(client, one)
    recorded(STALE)
    post(client, f"{LIST}{one.pk}/act/acknowledge/", **opened, **ACKNOWLEDGE)
    assert anomaly("a").acknowledged_by == "ann"


def test_a_wrong_form_keeps_the_token(client: Client, reviewer: User) -> None:
    one = one_stale()
    opened = form_of(client, one)
    text = post(client, f"{LIST}{one.pk}/act/acknowledge/", status=400, **opened, length="1d").content.decode()
    assert tokens_on(text) == {opened["state_token"]}
    assert "Nothing was done: correct the form below." in text


def test_the_address_of_an_action_leads_to_the_page_of_the_anomaly(client: Client, reviewer: User) -> None:
    one = one_stale()
    answer = client.get(f"{LIST}{one.pk}/act/acknowledge/?_changelist_filters=state%3Dall", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{page_of(one)}?_changelist_filters=state%3Dall")


def test_an_anomaly_that_was_deleted_is_not_found(client: Client, reviewer: User) -> None:
    one = one_stale()
    opened = form_of(client, one)
    Anomaly.objects.all()._raw_delete("default")
    post(client, f"{LIST}{one.pk}/act/comment/", status=404, **opened, comment="mine")


# --- Selected anomalies ----------------------------------------------------------------------------------
def form_of_selected(client: Client, *names: str) -> dict[str, Any]:
    """Return the fields of the page that an action shows for selected anomalies, with the reason."""
    sent: dict[str, Any] = {"action": "acknowledge", "select_across": "0"}
    sent |= {"_selected_action": [anomaly(name).pk for name in names]}
    (token,) = tokens_on(post(client, LIST, status=200, index="0", **sent).content.decode())
    return sent | {"state_token": token, "sent": "1", **ACKNOWLEDGE}


def test_of_those_selected_none_is_acknowledged_while_one_is_not_as_it_was_shown(
    client: Client, reviewer: User
) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    sent = form_of_selected(client, "a", "b")
    Anomaly.objects.filter(object_id="b").update(detail="something else")
    with_ada(anomaly("c"))
    text = post(client, LIST, status=409, **sent).content.decode()
    assert CHANGED in text
    assert "something else" in text
    assert 'value="being requeued"' in text
    assert set(Anomaly.objects.filter(acknowledged_until__isnull=False)) == {anomaly("c")}
    assert nothing_done()
    (token,) = tokens_on(text)
    post(client, LIST, **sent | {"state_token": token})
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 2


def test_a_selected_anomaly_that_the_list_now_leaves_out_is_a_change(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    sent = form_of_selected(client, "a", "b")
    with_ada(anomaly("b"))
    text = post(client, LIST, status=409, **sent).content.decode()
    assert CHANGED in text
    assert "1 anomaly" in text
    (token,) = tokens_on(text)
    post(client, LIST, **sent | {"state_token": token})
    assert [anomaly(name).acknowledged_by for name in "ab"] == ["ann", "ada"]


def test_the_form_lists_some_of_many_with_their_state(client: Client, reviewer: User) -> None:
    names = [f"s{number}" for number in range(23)]
    stale(*names)
    recorded(STALE)
    keys = [anomaly(name).pk for name in names]
    comment(keys, text="asked the uploader", by="ada")
    sent: dict[str, Any] = {"action": "assign", "select_across": "0", "_selected_action": keys, "index": "0"}
    text = post(client, LIST, status=200, **sent).content.decode()
    assert "23 anomalies" in text
    assert text.count("asked the uploader") == 20
    assert "and 3 more" in text
