"""Changes by scans in the admin: on top of the list, by time and scan, and behind the numbers of a scan."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.suppression import acknowledge
from consistency.models import File
from consistency.models.history import Anomaly, Scan
from consistency.registry import CheckError, Finding
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, get, page_of, shown, stale
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")
SCANS = f"{OVERVIEW}scan/"


@pytest.fixture
def scans() -> list[int]:
    """Four: `back` and `kept` are new in the first, `later` and `rest` in the third, where `back` returns."""
    stale("back", "kept")
    recorded(STALE, REST)
    File.objects.filter(file_uuid="back").update(status="completed")
    recorded(STALE, REST)
    File.objects.filter(file_uuid="back").update(status="processing")
    stale("later")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    delete_files(file_uuid="later")
    acknowledge([anomaly("kept").pk], until=in_days(1), by="ann", reason="known")
    recorded(STALE, REST)
    return list(Scan.objects.order_by("pk").values_list("pk", flat=True))


def listed(client: Client, address: str) -> set[str]:
    found = Anomaly.objects.filter(pk__in=shown(get(client, address)))
    return set(found.values_list("object_id", flat=True))


def leading(text: str, number: int) -> list[str]:
    """Where a page leads for the changes by a scan."""
    return [unescape(found) for found in re.findall(rf'href="({LIST}\?[^"]*scan={number}[^"]*)"', text)]


def test_news_of_an_older_scan_is_listed_though_resolved_or_suppressed_since(
    client: Client, reviewer: User, scans: list[int]
) -> None:
    first, second, third, last = scans
    of_scan = f"{LIST}?state=all&scan="
    assert listed(client, f"{of_scan}{first}-new") == {"back", "kept"}
    assert listed(client, f"{of_scan}{second}-resolved") == {"back"}
    assert listed(client, f"{of_scan}{third}-new") == {"later", "rest"}
    assert listed(client, f"{of_scan}{third}-returned") == {"back"}
    assert listed(client, f"{of_scan}{last}-resolved") == {"later"}
    assert listed(client, f"{LIST}?scan={third}-new") == {"rest"}
    assert listed(client, f"{of_scan}{last}-new") == listed(client, f"{LIST}?news=1&state=all") == set()
    assert f"Returned in scan {third}" in get(client, f"{of_scan}{third}-new")


def test_each_changed_number_leads_to_as_many_rows(client: Client, reviewer: User, scans: list[int]) -> None:
    # The numbers of the row, then those of the page: the scan's own, and check by check. A zero leads nowhere.
    expected = [([2], [2, 2]), ([1], [1, 1]), ([2, 1], [2, 1, 1, 1, 1]), ([1], [1, 1])]
    rows = get(client, SCANS)
    for scan, numbers in zip(scans, expected, strict=True):
        pages = rows, get(client, f"{SCANS}{scan}/change/")
        found = tuple([len(listed(client, address)) for address in leading(page, scan)] for page in pages)
        assert found == numbers


def test_news_of_a_check_last_until_it_answers_again_whatever_others_did(
    client: Client, reviewer: User, define: Define
) -> None:
    lucky = [True]

    def flaky() -> Any:
        if not lucky:
            raise CheckError("no luck")
        return File.objects.filter(file_uuid="rest")

    define("flaky", flaky)
    stale("file")
    a_file("rest", "unregistered")
    recorded(STALE, "flaky")
    assert listed(client, f"{LIST}?news=1") == {"file", "rest"}
    lucky.clear()
    recorded(STALE, "flaky")
    assert listed(client, f"{LIST}?news=1") == {"rest"}
    assert listed(client, f"{LIST}?news=seen") == {"file", "rest"}
    assert changes(client) == {"new": 1, "returned": 0, "resolved": 0, "ongoing": 1}
    delete_files()
    recorded(STALE)
    assert listed(client, f"{LIST}?news=1") == {"rest"}
    assert listed(client, f"{LIST}?news=resolved&state=resolved") == {"file"}
    assert listed(client, f"{LIST}?news=resolved") == set()
    assert changes(client) == {"new": 1, "returned": 0, "resolved": 1, "ongoing": 0}
    lucky.append(True)
    recorded("flaky")
    assert listed(client, f"{LIST}?news=1&state=all") == set()
    assert listed(client, f"{LIST}?news=resolved&state=resolved") == {"file", "rest"}


def test_what_a_scan_of_no_database_resolved_is_found_too(client: Client, reviewer: User, define: Define) -> None:
    found = [Finding(object_type="thing", object_id="1", detail="there")]

    def outside(using: str) -> Any:
        yield from found

    define("outside", outside, detail=None)
    recorded("outside")
    found.clear()
    recorded("outside")
    assert Scan.objects.filter(snapshot_at__isnull=True).count() == 2
    assert listed(client, f"{LIST}?news=resolved&state=resolved") == {"1"}
    recorded("outside")
    assert listed(client, f"{LIST}?news=resolved&state=resolved") == set()


def changes(client: Client) -> dict[str, int]:
    """The numbers of the overview, each of which leads to as many."""
    news = get(client, OVERVIEW).partition('class="changes"')[2].partition("</p>")[0]
    found = re.findall(r'<a href="([^"]+)">(\d+)</a></strong> (\w+)', news)
    assert [len(listed(client, unescape(link))) for link, _, _ in found] == [int(number) for _, number, _ in found]
    return {word: int(number) for _, number, word in found}


def test_who_may_not_see_anomalies_is_led_nowhere(
    client: Client, person: Callable[..., User], scans: list[int]
) -> None:
    person(*(name for name in SEE if name != "view_anomaly"))
    for path in (SCANS, f"{SCANS}{scans[2]}/change/"):
        assert leading(get(client, path), scans[2]) == []


@pytest.mark.parametrize("word", ["", "1", "last", "-1", "1-gone", "1-new-returned", "9" * 19, "\u0661"])
def test_a_scan_that_is_none_is_refused_and_shows_no_row_as_its_news(
    client: Client, reviewer: User, scans: list[int], word: str
) -> None:
    answer = client.get(LIST, {"scan": word, "state": "all"}, secure=True)
    assert (answer.status_code, answer["Location"].endswith("?e=1")) == (302, True)


def test_a_returned_anomaly_is_on_top_of_anomalies_first_seen_later(client: Client, reviewer: User) -> None:
    stale("back")
    recorded(STALE)
    File.objects.update(status="completed")
    stale("later")
    recorded(STALE)
    File.objects.update(status="processing")
    last = recorded(STALE).scan
    assert last
    Anomaly.objects.filter(object_id="back").update(first_seen=in_days(-9))
    text = get(client, LIST)
    assert text.index("back.<wbr>mp4") < text.index("later.<wbr>mp4")
    assert ">1\xa0week ago</time>" in text
    assert listed(client, f"{LIST}?age=day") == {"back", "later"}
    page = get(client, page_of(anomaly("back")))
    assert f"returned by scan {last.id}" in page
    assert "returned" not in get(client, page_of(anomaly("later"))).partition("<h2>History</h2>")[2]
