"""What people do with anomalies in the admin: what changes, what the log says, who may."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin import acts, anomalies
from consistency.memory_models import Anomaly, Scan, State
from consistency.models import File
from tests.consistency.data import a_file
from tests.consistency.memory import REST, STALE, anomaly, recorded
from tests.consistency.pages import LIST, SEE, get, page_of, post, stale

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
    assert "acknowledged by ann" in text
    assert text.count("being requeued") == 1
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
    post(client, LIST, action=name, select_across="0", index="0", _selected_action=[one.pk], sent="1")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None, note="").count() == 1
    assert Scan.objects.count() == 1
    text = get(client, page_of(one))
    assert "<form" not in text.partition('id="content-main"')[2].partition("footer")[0]


def test_who_may_not_see_sees_nothing(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person("view_file")
    for path in (LIST, page_of(anomaly("a")), f"{LIST}export/csv/", "/admin/consistency/scan/"):
        get(client, path, status=403)


def test_an_act_on_more_than_are_counted_goes_on_in_the_background(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anomalies, "MOST", 5)
    monkeypatch.setattr(acts, "EACH", 5)
    stale(*(f"s{number}" for number in range(9)))
    recorded(STALE)
    started: list[Thread] = []
    later = acts.perform_later
    monkeypatch.setattr(anomalies, "perform_later", lambda *about: started.append(later(*about)))
    sent: dict[str, Any] = {"action": "assign", "select_across": "1", "_selected_action": "0", "sent": "1"}
    post(client, LIST, **sent, assignee="ann")
    started[0].join(30)
    assert Anomaly.objects.filter(assignee="ann").count() == 9
    assert LogEntry.objects.get().change_message == "9 anomalies (no filter): Assigned to ann"
