"""Actions of people on anomalies in the admin: the change, the event, the permission."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.history.suppression import SuppressionError, acknowledge
from consistency.models.history import Anomaly, AnomalyEvent, State
from tests.consistency.admin.pages import LIST, get, page_of, post, stale
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def by_people() -> list[tuple[str, str, str]]:
    """Return object, kind and text of each event by a person, oldest first."""
    events = AnomalyEvent.objects.exclude(by="").order_by("pk")
    return list(events.values_list("anomaly__object_id", "kind", "text"))


def history_of(text: str) -> str:
    """Return the history on the page of an anomaly."""
    return text.partition("<h2>History</h2>")[2].partition("</section>")[0]


def test_one_is_acknowledged_for_a_day_with_a_reason_and_its_history_shows_that(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/acknowledge/", category="later", length="1d", reason="being requeued")
    one.refresh_from_db()
    assert (one.acknowledged_by, one.acknowledged_reason) == ("ann", "being requeued")
    assert one.acknowledged_until is not None
    assert timedelta(hours=23) < one.acknowledged_until - timezone.now() < timedelta(hours=25)
    text = get(client, page_of(one))
    assert "Acknowledged by ann" in text
    assert history_of(text).count("being requeued") == 1
    post(client, f"{LIST}{one.pk}/act/end_acknowledgement/", reason="requeued")
    one.refresh_from_db()
    assert one.acknowledged_until is None
    assert [kind for _, kind, _ in by_people()] == ["acknowledged", "acknowledgement_ended"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": "1d", "reason": "why"},
        {"category": "unknown", "length": "1d", "reason": "why"},
        {"category": "later", "length": "1d", "reason": ""},
        {"category": "later", "length": "1d", "reason": "  "},
        {"category": "later", "length": "2y", "reason": "why"},
        {"category": "later", "length": "1d", "reason": "why", "until": "2001-01-01T00:00"},
        {"category": "later", "length": "1d", "reason": "why", "until": "2999-01-01T00:00"},
    ],
)
def test_without_a_reason_or_beyond_the_longest_time_nothing_happens(
    client: Client, reviewer: User, wrong: dict[str, str]
) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=400, **wrong)
    assert anomaly("a").acknowledged_until is None
    assert by_people() == []


def test_the_form_says_the_longest_time_in_the_words_of_the_action(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    sent = {"category": "later", "length": "1d", "reason": "why", "until": "2999-01-01T00:00"}
    answer = post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=400, **sent)
    with pytest.raises(SuppressionError) as refused:
        acknowledge([], until=in_days(1000), by="ann", reason="why")
    assert str(refused.value) in answer.content.decode()


def test_those_selected_are_acknowledged_and_no_others(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    chosen = [anomaly("a").pk, anomaly("b").pk]
    first: dict[str, Any] = {"action": "acknowledge", "select_across": "0", "index": "0", "_selected_action": chosen}
    form = post(client, LIST, status=200, **first).content.decode()
    assert "2 anomalies" in form
    assert all(page_of(anomaly(name)) in form for name in "ab")
    assert page_of(anomaly("c")) not in form
    assert not Anomaly.objects.filter(acknowledged_until__isnull=False).exists()
    first.pop("index")
    post(client, LIST, **first, sent="1", category="later", length="7d", reason="until Monday")
    assert set(Anomaly.objects.filter(acknowledged_by="ann").values_list("pk", flat=True)) == set(chosen)
    assert [text.endswith("until Monday (later)") for _, _, text in by_people()] == [True, True]


def test_all_that_match_are_acted_on_by_the_filter_with_an_event_each(client: Client, reviewer: User) -> None:
    stale(*(f"s{number}" for number in range(30)))
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    some = Anomaly.objects.filter(check_name=STALE).first()
    assert some
    sent: dict[str, Any] = {"action": "acknowledge", "select_across": "1", "_selected_action": some.pk, "sent": "1"}
    with CaptureQueriesContext(connection) as queries:
        post(client, f"{LIST}?check={STALE}", **sent, category="later", length="1d", reason="all of them")
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 30
    assert anomaly("rest", REST).acknowledged_until is None
    assert len(queries) < 30
    assert len(by_people()) == 30
    assert history_of(get(client, page_of(some))).count("all of them") == 1
    assert "all of them" not in get(client, page_of(anomaly("rest", REST)))


def test_each_of_those_selected_shows_all_that_was_done(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    sent: dict[str, Any] = {"select_across": "0", "_selected_action": [anomaly("a").pk, anomaly("b").pk], "sent": "1"}
    for action in (
        {"action": "acknowledge", "category": "later", "length": "1d", "reason": "why"},
        {"action": "assign", "assignee": "ann"},
        {"action": "end_acknowledgement", "reason": "requeued"},
    ):
        post(client, f"{LIST}?check={STALE}&state=open", **sent | action)
    kinds = ["acknowledged", "assigned", "acknowledgement_ended"]
    for name, expected in {"a": kinds, "b": kinds, "c": []}.items():
        assert [kind for key, kind, _ in by_people() if key == name] == expected
    text = history_of(get(client, page_of(anomaly("b"))))
    for words in ("acknowledged", "until", "why", "assigned", "to ann", "acknowledgement ended", "requeued"):
        assert words in text


def test_they_are_assigned_and_commented(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/assign/", assignee="ann", reason="on call")
    post(client, f"{LIST}{one.pk}/act/comment/", comment="asked the uploader")
    post(client, f"{LIST}{one.pk}/act/comment/", comment="no answer\nyet")
    post(client, f"{LIST}{one.pk}/act/comment/", status=400, comment="  ")
    one.refresh_from_db()
    assert one.assignee == "ann"
    assert by_people() == [
        ("a", "assigned", "to ann: on call"),
        ("a", "commented", "asked the uploader"),
        ("a", "commented", "no answer\nyet"),
    ]
    text = get(client, page_of(one))
    assert "to ann: on call" in history_of(text)
    assert re.search(
        "<strong>ann</strong><br>.*asked the uploader.*<strong>ann</strong><br>.*no answer<br>yet", text, re.DOTALL
    )
    assert "asked the uploader" not in history_of(text)
    post(client, f"{LIST}{one.pk}/act/assign/", status=400, assignee="nobody_known")


@pytest.mark.parametrize("gone", ["deleted", "inactive", "not staff"])
def test_the_assignee_stays_chosen_whatever_became_of_the_account(
    client: Client, reviewer: User, person: Callable[..., User], gone: str
) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    Anomaly.objects.update(assignee="bob")
    if gone != "deleted":
        person(name="bob")
        client.force_login(reviewer)
        User.objects.filter(username="bob").update(is_active=gone != "inactive", is_staff=gone != "not staff")
    assert '<option value="bob" selected>bob (as it is)</option>' in get(client, page_of(one))
    post(client, f"{LIST}{one.pk}/act/assign/", assignee="bob", reason="still hers")
    assert anomaly("a").assignee == "bob"
    refused = post(client, f"{LIST}{one.pk}/act/assign/", status=400, assignee="nobody_known").content.decode()
    assert '<option value="bob" selected>' in refused
    post(client, f"{LIST}{one.pk}/act/assign/", assignee="")
    assert anomaly("a").assignee is None
    assert "bob (as it is)" not in get(client, page_of(one))


def test_recheck_scans_the_checks_of_those_selected_and_no_others(client: Client, reviewer: User) -> None:
    stale("a")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    delete_files()
    post(client, LIST, action="recheck", select_across="0", index="0", _selected_action=[anomaly("a").pk])
    assert anomaly("a").state == State.RESOLVED
    assert anomaly("rest", REST).state == State.NEW
    post(client, f"{LIST}{anomaly('rest', REST).pk}/act/recheck/")
    assert anomaly("rest", REST).state == State.RESOLVED


def test_the_page_of_an_action_says_whether_it_is_about_all_that_match(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    sent = {"action": "acknowledge", "index": "0", "_selected_action": anomaly("a").pk}
    text = post(client, LIST, status=200, select_across="1", **sent).content.decode()
    assert "All that match the list&#x27;s filters: 2 anomalies" in text
    assert "All that match" not in post(client, LIST, status=200, select_across="0", **sent).content.decode()


def test_the_longest_reason_is_stored_with_the_longest_name(client: Client, reviewer: User) -> None:
    key = "k" * 300
    stale(key)
    recorded(STALE)
    post(client, f"{LIST}{anomaly(key).pk}/act/acknowledge/", category="later", length="1d", reason="r" * 500)
    assert by_people()[0][2].endswith("r" * 500 + " (later)")


# --- The result ------------------------------------------------------------------------------------------
def selected(*names: str) -> dict[str, Any]:
    return {
        "action": "acknowledge", "select_across": "0", "_selected_action": [anomaly(name).pk for name in names],
        "sent": "1", "category": "later", "length": "1d", "reason": "being requeued",
    }  # fmt: skip


def test_an_anomaly_that_a_scan_resolved_meanwhile_is_skipped(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    delete_files()
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", category="later", length="1d", reason="being requeued")
    text = get(client, LIST)
    assert '<li class="warning">Acknowledged: 0 anomalies. Skipped: 1, already resolved.</li>' in text
    assert by_people() == []


def test_of_open_and_resolved_ones_only_the_open_ones_change(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    delete_files(file_uuid="b")
    recorded(STALE)
    post(client, f"{LIST}?state=all", **selected("a", "b"))
    assert [(name, kind) for name, kind, _ in by_people()] == [("a", "acknowledged")]
    assert anomaly("b").acknowledged_until is None
    words = "Acknowledged: 1 anomaly. Skipped: 1, already resolved."
    assert f'<li class="success">{words}</li>' in get(client, LIST)


def test_an_acknowledgement_that_does_not_exist_is_not_said_to_be_ended(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/end_acknowledgement/", reason="requeued")
    assert "Acknowledgement ended: 0 anomalies. Skipped: 1, not acknowledged." in get(client, LIST)
    assert by_people() == []


def test_an_action_on_anomalies_that_no_longer_match_says_so(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    sent = selected("a")
    delete_files()
    recorded(STALE)
    post(client, LIST, **sent)
    assert "Acknowledged: none matches any more." in get(client, LIST)
    assert by_people() == []
