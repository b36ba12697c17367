"""The buttons of the overview: the queues of review, each with the number of its anomalies."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.overview import overview
from consistency.history.suppression import acknowledge, assign, mark_reviewed, mute
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, get, shown, stale
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def buttons(client: Client) -> dict[str, tuple[str, str]]:
    """Return the number and the address of each button, in the order of the page."""
    text = get(client, OVERVIEW).partition('class="ways"')[2].partition("</nav>")[0]
    found = re.findall(r'href="([^"]+)">([^<(]+)(?: \(([^)]+)\))?</a>', text)
    return {title: (number, unescape(address)) for address, title, number in found}


@pytest.fixture
def queues(reviewer: User) -> None:
    """Nine anomalies of a first scan, long ago, two of a second, four days ago, and two new ones of the last scan."""
    stale("gone", "known", "mine", "seen", *(f"old{number}" for number in range(3)))
    a_file("muted0", "unregistered")
    a_file("muted1", "unregistered")
    recorded(STALE, REST)
    Anomaly.objects.update(appeared_at=in_days(-30))
    stale("week0", "week1")
    recorded(STALE, REST)
    Anomaly.objects.filter(object_id__startswith="week").update(appeared_at=in_days(-4))
    stale("new0", "new1", "new2")
    delete_files(file_uuid="gone")
    recorded(STALE, REST)
    mute(REST, until=in_days(1), by="ann", reason="known")
    acknowledge([anomaly(name).pk for name in ("known", "new2")], until=in_days(1), by="ann", reason="known")
    assign([anomaly("mine").pk], to="ann", by="bob")
    mark_reviewed([anomaly("seen").pk], by="ann")


def test_each_button_has_its_number_and_what_needs_review_comes_first(client: Client, queues: None) -> None:
    made = buttons(client)
    assert {title: number for title, (number, _) in made.items()} == {
        "Needs review": "7",
        "New or returned in the last scan": "2",
        "Last 24 hours": "2",
        "Last 7 days": "4",
        "All open": "9",
        "Mine": "1",
        "Acknowledged": "2",
        "Resolved in the last 24 hours": "1",
        "Scans": "",
        "Mutes": "",
    }
    assert next(iter(made)) == "Needs review"
    assert made["Needs review"][1] == f"{LIST}?review=needed"
    assert made["Resolved in the last 24 hours"][1] == f"{LIST}?state=resolved&resolved_since=24h"


def test_a_button_leads_to_as_many_rows_without_suppressed_ones(client: Client, queues: None) -> None:
    made = buttons(client)
    for title in (
        "New or returned in the last scan",
        "Last 24 hours",
        "Last 7 days",
        "All open",
        "Mine",
        "Acknowledged",
    ):
        number, address = made[title]
        assert len(shown(get(client, address))) == int(number), title


def test_the_last_days_are_counted_at_most_to_the_bound(
    client: Client, queues: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.overview.MAX_COUNT", 3)
    monkeypatch.setattr("consistency.history.paginator.MAX_COUNT", 3)
    made = buttons(client)
    assert made["Needs review"][0] == "3+"
    assert (made["Last 24 hours"][0], made["Last 7 days"][0]) == ("2", "3+")


def test_the_numbers_of_the_overview_have_separators(client: Client, queues: None) -> None:
    scan = overview().last
    assert scan
    numbers = {"new": 1201, "returned": 1202, "resolved": 1203, "ongoing": 1204}
    scan.checks.update(**dict.fromkeys(numbers, 0))
    scan.checks.filter(check_name=STALE).update(**numbers, count=1207)
    text = get(client, OVERVIEW)
    assert all(f">{number:,}</a>" in text for number in numbers.values())
    assert "All open (1,205)" in text
    assert "peak 1,207" in text


def test_a_person_who_may_not_see_anomalies_gets_no_buttons(client: Client, person: Callable[..., User]) -> None:
    person(*(name for name in SEE if name != "view_anomaly"))
    assert "Needs review" not in get(client, OVERVIEW)
