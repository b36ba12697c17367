"""The queue of anomalies that need review: filter, mark, badge, and rows that leave the queue."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.admin import anomalies
from consistency.history.suppression import acknowledge, mark_reviewed, mute
from consistency.models import File
from consistency.models.history import Anomaly, AnomalyEvent
from tests.consistency.admin.pages import LIST, ORPHANED, get, of_selected, post, rows, shown, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")
QUEUE = f"{LIST}?review=needed"


def test_twenty_five_acknowledged_rows_are_gone_from_the_queue_with_the_badges_of_the_rows(
    client: Client, reviewer: User
) -> None:
    stale(*(f"s{number:02}" for number in range(30)))
    recorded(STALE)
    recorded(ORPHANED)
    first, second = rows(get(client, QUEUE)), rows(get(client, f"{QUEUE}&p=2"))
    assert (len(first), len(second)) == (25, 25)
    form = post(client, QUEUE, 200, **of_selected("acknowledge", first)).content.decode()
    assert "Also acknowledge 25 anomalies of the same files: stale_processing." in form
    [box] = re.findall(r'<input[^>]*name="whole_file"[^>]*>', form)
    assert "checked" in box
    values = {"sent": "1", "length": "1d", "reason": "known", "category": "later", "whole_file": "on"}
    post(client, QUEUE, **of_selected("acknowledge", first, **values))
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 50
    left = get(client, QUEUE)
    assert len(rows(left)) == 5
    assert not set(rows(left)) & set(first)
    assert "Acknowledged: 50 anomalies." in left


def test_marking_takes_one_click_and_no_reason_and_marks_what_the_row_shows(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    recorded(ORPHANED)
    text = get(client, QUEUE)
    assert text.count("needs review</span>") == 2
    [first, second] = rows(text)
    post(client, QUEUE, **of_selected("mark_reviewed", [first]))
    text = get(client, QUEUE)
    assert rows(text) == [second]
    assert "Marked as reviewed: 2 anomalies." in text
    assert AnomalyEvent.objects.filter(kind="reviewed", by="ann").count() == 2
    assert get(client, LIST).count("needs review</span>") == 1
    post(client, LIST, **of_selected("mark_reviewed", [first]))
    assert "Marked as reviewed: 0 anomalies. Skipped: 1, reviewed before, or resolved." in get(client, LIST)


def test_all_that_match_are_marked_in_the_background(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def start(*arguments: Any) -> bool:
        started.append(arguments)
        return True

    monkeypatch.setattr(anomalies, "MAX_AT_ONCE", 2)
    monkeypatch.setattr(anomalies, "start_bulk_action", start)
    stale("a", "b", "c")
    recorded(STALE)
    post(client, QUEUE, **of_selected("mark_reviewed", ["0"]) | {"select_across": "1"})
    [(_, form, rows_to_change)] = started
    assert (form.title, form.is_valid(), rows_to_change.count()) == ("Mark as reviewed", True, 3)


def test_suppressed_and_resolved_anomalies_need_no_review(client: Client, reviewer: User) -> None:
    stale("known", "gone", "seen", "waits")
    a_file("muted", "unregistered")
    recorded(STALE, REST)
    acknowledge([anomaly("known").pk], until=in_days(1), by="ann", reason="known")
    mark_reviewed([anomaly("seen").pk], by="ann")
    mute(REST, until=in_days(1), by="ann", reason="known")
    File.objects.filter(file_uuid="gone").delete()
    recorded(STALE, REST)
    assert shown(get(client, QUEUE)) == {anomaly("waits").pk}
    assert get(client, f"{LIST}?state=all").count("needs review</span>") == 1


@pytest.mark.parametrize("query", ["news=1", "age=day", "age=week"])
def test_lists_of_new_anomalies_leave_out_suppressed_ones_also_after_an_action(
    client: Client, reviewer: User, query: str
) -> None:
    stale("a", "b")
    recorded(STALE)
    key = anomaly("a").pk
    values = {"sent": "1", "length": "1d", "reason": "known", "category": "later"}
    post(client, f"{LIST}?{query}", **of_selected("acknowledge", [key], **values))
    text = get(client, f"{LIST}?{query}")
    assert rows(text) == [anomaly("b").pk]
    assert "Last 24 hours" in text
    assert "Last 7 days" in text


def test_marking_needs_the_permission_to_acknowledge(client: Client, person: Any) -> None:
    stale("a")
    recorded(STALE)
    person("view_anomaly")
    post(client, QUEUE, 403, **of_selected("mark_reviewed", [anomaly("a").pk]))
    post(client, f"{LIST}{anomaly('a').pk}/act/mark_reviewed/", 403)
    assert anomaly("a").reviewed_at is None


def test_one_anomaly_is_marked_by_its_own_address(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/mark_reviewed/")
    assert anomaly("a").reviewed_at
