"""What people do with anomalies in the admin: what changes, what the log says, who may."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin import acts, anomalies, background
from consistency.history.silence import SilenceError, acknowledge, mute
from consistency.history.turns import take_turn
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, State
from tests.consistency.admin.pages import LIST, SEE, get, page_of, post, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_one_is_acknowledged_for_a_day_with_a_reason_and_the_log_has_it(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/acknowledge/", length="1d", reason="being requeued")
    one.refresh_from_db()
    assert (one.acknowledged_by, one.acknowledged_reason) == ("ann", "being requeued")
    assert one.acknowledged_until is not None
    assert timedelta(hours=23) < one.acknowledged_until - timezone.now() < timedelta(hours=25)
    assert "being requeued" in LogEntry.objects.get(object_id=str(one.pk)).change_message
    text = get(client, page_of(one))
    assert "Acknowledged by ann" in text
    assert text.partition("Who did what")[2].count("being requeued") == 1
    post(client, f"{LIST}{one.pk}/act/end_acknowledgement/", reason="done with it")
    one.refresh_from_db()
    assert one.acknowledged_until is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": "1d", "reason": ""},
        {"length": "1d", "reason": "  "},
        {"length": "2y", "reason": "why"},
        {"length": "1d", "reason": "why", "until": "2001-01-01T00:00"},
        {"length": "1d", "reason": "why", "until": "2999-01-01T00:00"},
    ],
)
def test_without_a_reason_or_beyond_the_longest_time_nothing_happens(
    client: Client, reviewer: User, wrong: dict[str, str]
) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=400, **wrong)
    assert anomaly("a").acknowledged_until is None
    assert not LogEntry.objects.exists()


def test_the_form_says_the_longest_time_in_the_words_of_the_act(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    sent = {"length": "1d", "reason": "why", "until": "2999-01-01T00:00"}
    answer = post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=400, **sent)
    with pytest.raises(SilenceError) as refused:
        acknowledge([], until=in_days(1000), by="ann", reason="why")
    assert str(refused.value) in answer.content.decode()


def test_those_selected_are_acknowledged_and_no_others(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    chosen = [anomaly("a").pk, anomaly("b").pk]
    first: dict[str, Any] = {"action": "acknowledge", "select_across": "0", "index": "0", "_selected_action": chosen}
    asked = post(client, LIST, status=200, **first).content.decode()
    assert "2 anomalies" in asked
    assert not Anomaly.objects.filter(acknowledged_until__isnull=False).exists()
    first.pop("index")
    post(client, LIST, **first, sent="1", length="7d", reason="until Monday")
    assert set(Anomaly.objects.filter(acknowledged_by="ann").values_list("pk", flat=True)) == set(chosen)
    assert LogEntry.objects.filter(change_message__endswith="until Monday").count() == 2


def test_all_that_match_are_acted_on_by_the_filter_and_logged_in_one_line(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "EACH", 10)
    stale(*(f"s{number}" for number in range(30)))
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    some = Anomaly.objects.filter(check_name=STALE).first()
    assert some
    sent: dict[str, Any] = {"action": "acknowledge", "select_across": "1", "_selected_action": some.pk, "sent": "1"}
    with CaptureQueriesContext(connection) as queries:
        post(client, f"{LIST}?check={STALE}", **sent, length="1d", reason="all of them")
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 30
    assert anomaly("rest", REST).acknowledged_until is None
    assert len(queries) < 25
    entry = LogEntry.objects.get()
    assert entry.change_message.startswith(f"30 anomalies (check={STALE}): Acknowledged until ")
    assert set(Anomaly.objects.filter(acts=[entry.pk]).values_list("check_name", flat=True)) == {STALE}
    done = get(client, page_of(some)).partition("Who did what")[2]
    assert (done.count("all of them"), entry.change_message in done) == (1, True)
    assert "all of them" not in get(client, page_of(anomaly("rest", REST)))


def test_the_log_of_many_that_were_ticked_names_no_filter_and_each_of_them_tells_what_was_done_to_it(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "EACH", 1)
    stale("a", "b", "c")
    recorded(STALE)
    sent: dict[str, Any] = {"select_across": "0", "_selected_action": [anomaly("a").pk, anomaly("b").pk], "sent": "1"}
    for told in (
        {"action": "acknowledge", "length": "1d", "reason": "why"},
        {"action": "assign", "assignee": "ann"},
        {"action": "end_acknowledgement", "reason": "done"},
    ):
        post(client, f"{LIST}?check={STALE}&state=open", **sent | told)
    lines = list(LogEntry.objects.order_by("pk"))
    assert [line.change_message.partition(":")[0] for line in lines] == ["2 anomalies, ticked one by one"] * 3
    assert [anomaly(name).acts for name in "abc"] == [[line.pk for line in lines]] * 2 + [[]]
    text = get(client, page_of(anomaly("b"))).partition("Who did what")[2]
    assert all(words in text for words in ("Acknowledged until", "Assigned to ann", "Acknowledgement ended: done"))


def test_they_are_assigned_and_noted(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/assign/", assignee="ann", reason="on call")
    post(client, f"{LIST}{one.pk}/act/note/", note="asked the uploader")
    one.refresh_from_db()
    assert (one.assignee, one.note) == ("ann", "asked the uploader")
    text = get(client, page_of(one))
    assert "Assigned to ann: on call" in text
    assert "Note: asked the uploader" in text
    post(client, f"{LIST}{one.pk}/act/assign/", status=400, assignee="nobody_known")


@pytest.mark.parametrize("gone", ["deleted", "inactive", "not staff"])
def test_who_looks_after_it_stays_chosen_whatever_became_of_their_account(
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
    File.objects.all().delete()
    post(client, LIST, action="recheck", select_across="0", index="0", _selected_action=[anomaly("a").pk])
    assert anomaly("a").state == State.RESOLVED
    assert anomaly("rest", REST).state == State.NEW
    post(client, f"{LIST}{anomaly('rest', REST).pk}/act/recheck/")
    assert anomaly("rest", REST).state == State.RESOLVED


@pytest.mark.parametrize("name", ["acknowledge", "end_acknowledgement", "assign", "note", "recheck"])
def test_who_may_only_see_can_do_nothing(client: Client, person: Callable[..., User], name: str) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/{name}/", status=403, length="1d", reason="x", assignee="ann", note="x")
    post(client, LIST, status=403, action=name, select_across="0", index="0", _selected_action=[one.pk], sent="1")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None, note="").count() == 1
    assert Scan.objects.count() == 1
    text = get(client, page_of(one))
    assert "<form" not in text.partition('id="content-main"')[2].partition("footer")[0]


def ways_to_act() -> dict[str, list[str]]:
    """Where each permission acts: on the anomaly of a, on a mute, on scans."""
    one = f"{LIST}{anomaly('a').pk}/act/"
    held = mute(REST, until=in_days(1), by="bob", reason="x", sticky=True)
    return {
        "acknowledge_anomaly": [f"{one}{name}/" for name in acts.ACTS],
        "mute_check": ["/admin/consistency/mute/new/", f"/admin/consistency/mute/{held.pk}/end/"],
        "scan_now": ["/admin/consistency/scan/now/", f"{one}recheck/"],
    }


@pytest.mark.parametrize("may", ["acknowledge_anomaly", "mute_check", "scan_now"])
def test_each_permission_is_good_for_its_own_acts_alone(client: Client, person: Callable[..., User], may: str) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE, may)
    sent = {"length": "1d", "reason": "why", "assignee": "", "note": "n", "check_name": STALE, "database": "default"}
    for permission, paths in ways_to_act().items():
        for path in paths:
            post(client, path, status=302 if permission == may else 403, **sent)


def test_who_may_act_but_not_see_lands_where_they_may_be(client: Client, person: Callable[..., User]) -> None:
    person("scan_now")
    answer = post(client, "/admin/consistency/scan/now/")
    assert "new, 0 returned" in get(client, answer["Location"])


@pytest.mark.parametrize("name", ["acknowledge", "end_acknowledgement", "assign", "note", "recheck"])
def test_who_may_act_but_not_see_anomalies_learns_nothing_of_one(
    client: Client, person: Callable[..., User], name: str
) -> None:
    stale("a")
    recorded(STALE)
    person("acknowledge_anomaly", "scan_now")
    get(client, f"{LIST}{anomaly('a').pk}/act/{name}/", status=403)
    post(client, f"{LIST}{anomaly('a').pk}/act/{name}/", status=403, length="1d", reason="x", note="x")
    get(client, f"{LIST}{anomaly('a').pk + 1}/act/{name}/", status=403)


def test_no_act_happens_by_a_get(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    query = "?length=1d&reason=x&note=x&assignee=ann&sent=1&check_name=stale_processing&database=default"
    for paths in ways_to_act().values():
        for path in paths:
            assert client.get(path + query, secure=True).status_code in (200, 302, 405)
    get(client, f"{LIST}?state=open")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None, note="").count() == 1
    assert Mute.objects.filter(ended_at=None).count() == 1
    assert Scan.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_who_may_not_see_sees_nothing(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person("view_file")
    for path in (LIST, page_of(anomaly("a")), f"{LIST}export/csv/", "/admin/consistency/scan/"):
        get(client, path, status=403)


@pytest.fixture
def in_fours(monkeypatch: pytest.MonkeyPatch) -> list[Thread]:
    """More than five go on in the background, four at a time; the threads that do it."""
    started: list[Thread] = []
    later = acts.perform_later
    monkeypatch.setattr(anomalies, "AT_ONCE", 5)
    monkeypatch.setattr(background, "BATCH", 4)
    monkeypatch.setattr(anomalies, "perform_later", lambda *about: started.append(later(*about)))
    return started


ALL: dict[str, Any] = {
    "action": "assign",
    "select_across": "1",
    "_selected_action": "0",
    "sent": "1",
    "assignee": "ann",
}


def test_an_act_on_many_goes_on_in_the_background_and_the_list_says_how_it_ended(
    client: Client, reviewer: User, in_fours: list[Thread]
) -> None:
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)
    post(client, LIST, **ALL)
    in_fours[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == 9
    words = "9 anomalies (no filter): Assigned to ann"
    entry = LogEntry.objects.get()
    assert entry.change_message == words
    assert Anomaly.objects.filter(acts=[entry.pk]).count() == 9
    assert f"Done: {words}" in get(client, LIST)
    assert "Done" not in get(client, LIST)


def test_an_act_that_ends_early_has_done_what_its_line_in_the_log_says_and_the_list_warns(
    client: Client, reviewer: User, in_fours: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)
    turns = iter([None, None])
    monkeypatch.setattr(background, "take_turn", lambda: next(turns))
    post(client, LIST, **ALL)
    in_fours[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == 8
    words = "Ended early, after 8 anomalies (no filter): Assigned to ann"
    entry = LogEntry.objects.get()
    assert entry.change_message == words
    assert Anomaly.objects.filter(acts=[entry.pk], assignee="ann").count() == Anomaly.objects.exclude(acts=[]).count()
    assert f"{words}. Those stay changed" in get(client, LIST)


def test_an_act_under_way_is_said_to_be_to_everybody_until_nothing_was_heard_of_it_for_minutes(
    client: Client, reviewer: User, person: Callable[..., User], in_fours: list[Thread]
) -> None:
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)
    post(client, LIST, **ALL)
    in_fours[0].join(30)
    words = "8 of 9 anomalies (no filter): Assigned to ann"
    LogEntry.objects.update(change_message=f"So far {words}")
    for _ in range(2):
        assert f"Under way. So far {words}" in get(client, LIST)
    one = page_of(anomaly("s0"))
    assert f"So far {words}" in get(client, one)
    person(*SEE, name="bob")
    assert f"Under way, begun by ann. So far {words}" in get(client, LIST)
    LogEntry.objects.update(action_time=timezone.now() - timedelta(minutes=4))
    assert "Under way" not in get(client, LIST)
    assert f"Ended early, after {words}" in get(client, one)
    client.cookies[background.COOKIE] = str(LogEntry.objects.get().pk)
    assert f"after {words}" not in get(client, LIST), "of another's act"
    client.force_login(reviewer)
    client.cookies[background.COOKIE] = str(LogEntry.objects.get().pk)
    assert f"Ended early, after {words}. Those stay changed" in get(client, LIST)
    assert "Ended early" not in get(client, LIST)


@pytest.mark.parametrize("forged", ["x", "-1", "9" * 40, "9" * 18])
def test_a_cookie_that_nobody_set_tells_nothing(client: Client, reviewer: User, forged: str) -> None:
    client.cookies[background.COOKIE] = forged
    get(client, LIST)
    assert not client.cookies[background.COOKIE].value


def test_a_recording_waits_for_its_turn_while_many_are_changed(reviewer: User) -> None:
    stale("a")

    def scan() -> None:
        recorded(STALE)
        connections.close_all()

    scanning = Thread(target=scan)
    with transaction.atomic():
        take_turn()
        scanning.start()
        scanning.join(1)
        assert scanning.is_alive()
        assert not Scan.objects.exists()
    scanning.join(30)
    assert Scan.objects.count() == 1


def test_the_log_says_how_far_an_act_on_many_is_after_each_of_its_parts(
    client: Client, reviewer: User, in_fours: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)
    told: list[str] = []

    def look() -> None:
        entry = LogEntry.objects.get()
        assert entry.object_repr == entry.change_message, "what the landing page shows"
        told.append(entry.change_message)

    monkeypatch.setattr(background, "take_turn", look)
    post(client, LIST, **ALL)
    in_fours[0].join(30)
    assert [words.partition(" anomalies")[0] for words in told] == ["So far none of", "So far 4 of 9", "So far 8 of 9"]


def test_the_page_of_an_act_says_whether_it_is_about_all_that_match(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    asked = {"action": "acknowledge", "index": "0", "_selected_action": anomaly("a").pk}
    text = post(client, LIST, status=200, select_across="1", **asked).content.decode()
    assert "All that match the list&#x27;s filters: 2 anomalies" in text
    assert "All that match" not in post(client, LIST, status=200, select_across="0", **asked).content.decode()


def test_the_longest_reason_about_the_longest_name_goes_into_the_log(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "k" * 300
    stale(key)
    recorded(STALE)
    for each in (100, 0):
        monkeypatch.setattr(acts, "EACH", each)
        post(client, f"{LIST}{anomaly(key).pk}/act/acknowledge/", length="1d", reason="r" * 500)
    assert LogEntry.objects.filter(change_message__endswith="r" * 500).count() == 2


def test_recheck_of_those_selected_is_for_who_may_scan(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE, "acknowledge_anomaly")
    sent: dict[str, Any] = {"select_across": "0", "index": "0", "_selected_action": [anomaly("a").pk]}
    post(client, LIST, status=403, action="recheck", **sent)
    assert Scan.objects.count() == 1
    person(*SEE, "scan_now", name="bob")
    post(client, LIST, action="recheck", **sent)
    assert Scan.objects.count() == 2
