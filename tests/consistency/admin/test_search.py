"""The search of the admin's list: all states, and what the page says about a search that found or took too much."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.test import Client

from consistency.history import search
from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, get, page_of, post, shown, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def four(reviewer: User) -> None:
    """Record an anomaly in each state: open, acknowledged, muted, resolved."""
    stale("open", "known", "gone")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    File.objects.filter(file_uuid="gone").delete()
    recorded(STALE)
    acknowledge([anomaly("known").pk], until=in_days(1), by="ann", reason="known")
    mute(REST, until=in_days(7), by="ann", reason="leftovers")


def objects(text: str) -> set[str]:
    return set(Anomaly.objects.filter(pk__in=shown(text)).values_list("object_id", flat=True))


def test_all_states_are_searched_and_the_page_counts_them(client: Client, four: None) -> None:
    text = get(client, f"{LIST}?q=.MP4")
    assert objects(text) == {"open", "known", "gone", "rest"}
    assert "Found: 1 open, 1 acknowledged, 1 muted, 1 resolved." in text
    assert "The list leaves out" not in text
    assert "All found" in text
    assert "Found: 1 open." in get(client, f"{LIST}?q=open")


def test_a_chosen_state_limits_the_search(client: Client, four: None) -> None:
    text = get(client, f"{LIST}?q=.mp4&state=open")
    assert objects(text) == {"open", "known", "rest"}
    assert "Found: 1 open, 1 acknowledged, 1 muted." in text


def test_a_blank_search_is_no_search(client: Client, four: None) -> None:
    text = get(client, f"{LIST}?q=++")
    assert objects(text) == {"open"}
    assert "Found:" not in text


def test_more_matches_than_are_counted_have_no_counts(
    client: Client, four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.paginator.MAX_COUNT", 3)
    text = get(client, f"{LIST}?q=.mp4")
    assert "3+ results" in text
    assert "Found:" not in text


def test_an_action_on_all_that_match_is_limited_by_the_search(client: Client, four: None) -> None:
    sent: dict[str, Any] = {
        "action": "assign",
        "select_across": "1",
        "_selected_action": "0",
        "sent": "1",
        "assignee": "ann",
    }
    post(client, f"{LIST}?q=op", **sent)
    assert set(Anomaly.objects.filter(assignee="ann").values_list("object_id", flat=True)) == {"open"}


@pytest.fixture
def too_slow(four: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(rows: QuerySet[Anomaly], term: str) -> QuerySet[Anomaly]:
        if term:
            raise search.SearchTimeoutError("The search took too long.")
        return rows

    monkeypatch.setattr("consistency.admin.anomalies.search", fail)


def test_a_search_that_takes_too_long_shows_the_list_with_the_reason(client: Client, too_slow: None) -> None:
    answer = client.get(f"{LIST}?q=open&check=stale_processing&p=2", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?check=stale_processing")
    text = get(client, LIST)
    assert "The search took too long." in text
    assert objects(text) == {"open"}


def test_the_page_of_an_anomaly_needs_no_search(client: Client, too_slow: None) -> None:
    get(client, f"{page_of(anomaly('open'))}?_changelist_filters=q%3Dopen")


def test_an_export_leads_to_the_list_with_the_reason_instead_of_an_empty_file(client: Client, too_slow: None) -> None:
    answer = client.get(f"{LIST}export/csv/?q=open&severity__exact=2", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?severity__exact=2")
    assert "The search took too long." in get(client, LIST)
