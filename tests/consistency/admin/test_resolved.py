"""Resolved anomalies in the admin: a list of their own, and the open periods on the page of one anomaly."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.models.history import Anomaly, AnomalyEvent, EventKind
from tests.consistency.admin.pages import LIST, get, page_of, rows, shown, stale
from tests.consistency.data import delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")
RESOLVED = f"{LIST}?state=resolved"


def resolve(*names: str) -> int:
    """Find these files, then resolve them; return the number of the scan that resolved them."""
    stale(*names)
    recorded(STALE)
    for name in names:
        delete_files(file_uuid=name)
    scan = recorded(STALE).scan
    assert scan
    return scan.id


def test_the_list_says_when_by_which_scan_and_how_long_an_anomaly_was_open(client: Client, reviewer: User) -> None:
    number = resolve("a")
    Anomaly.objects.update(appeared_at=in_days(-3), resolved_at=in_days(-1))
    text = get(client, RESOLVED)
    [row] = re.findall(r"<tr>.*?</tr>", text.partition("<tbody>")[2].replace("<wbr>", ""), re.DOTALL)
    assert "a.mp4" in row
    assert STALE in row
    assert f'title="{in_days(-1):%Y-%m-%d %H:%M} UTC">1\xa0day ago</time>' in row
    assert f'by <a href="/admin/consistency/scan/{number}/change/">scan {number}</a>' in row
    assert "open for 2\xa0days, seen once" in row
    assert "open for" not in get(client, LIST)


def test_the_time_of_resolution_also_counts_without_the_state(client: Client, reviewer: User) -> None:
    resolve("a")
    stale("open")
    recorded(STALE)
    for query in ("resolved_since=24h", "resolved_since=24h&state=all"):
        assert len(rows(get(client, f"{LIST}?{query}"))) == 1, query


def test_who_may_not_see_scans_gets_the_number_without_a_link(client: Client, person: Callable[..., User]) -> None:
    number = resolve("a")
    person("view_anomaly")
    text = get(client, RESOLVED)
    assert f"by scan {number}" in text
    assert f"scan/{number}/" not in text


def test_the_list_is_filtered_by_the_time_of_resolution(client: Client, reviewer: User) -> None:
    resolve("now", "week", "month", "old")
    for name, days in {"week": -6, "month": -29, "old": -31}.items():
        Anomaly.objects.filter(object_id=name).update(resolved_at=in_days(days))
    text = get(client, RESOLVED)
    counts = {"24h": 1, "7d": 2, "30d": 3}
    for value, number in counts.items():
        assert f"?resolved_since={value}&amp;state=resolved" in text
        assert len(shown(get(client, f"{RESOLVED}&resolved_since={value}"))) == number
    assert "resolved_since" not in get(client, LIST)
    answer = client.get(f"{RESOLVED}&resolved_since=soon", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?e=1")


def test_previous_and_next_follow_the_list_of_a_scan(client: Client, reviewer: User) -> None:
    number = resolve("a", "b", "c")
    stale("b")
    recorded(STALE)
    query = f"state=all&scan={number}-resolved"
    rows = re.findall(rf'href="({LIST}\d+/change/\?[^"]*)">', get(client, f"{LIST}?{query}"))
    assert len(rows) == 3
    for position, row in enumerate(rows):
        page = get(client, row.replace("&amp;", "&"))
        found = dict(re.findall(r'<a rel="(prev|next)"[^>]*href="([^"]*)"', page))
        expected = {"prev": rows[position - 1] if position else None, "next": [*rows, None][position + 1]}
        assert {name: link for name, link in expected.items() if link} == found
    get(client, f"{page_of(anomaly('a'))}?_changelist_filters=scan%3Dnone")


def test_after_a_return_the_page_shows_each_open_period(client: Client, reviewer: User) -> None:
    resolved = resolve("a")
    assert "Open periods" not in get(client, page_of(anomaly("a")))
    stale("a")
    scan = recorded(STALE).scan
    assert scan
    kinds = {EventKind.FOUND: -9, EventKind.RESOLVED: -6.5, EventKind.RETURNED: -1}
    for kind, days in kinds.items():
        AnomalyEvent.objects.filter(kind=kind).update(at=in_days(days))
    section = get(client, page_of(anomaly("a"))).partition("Open periods</h2>")[2].partition("</section>")[0]
    now, before = (re.sub("<[^>]*>", "", row) for row in re.findall("<li>(.*?)</li>", section))
    assert now == f"{in_days(-1):%Y-%m-%d %H:%M} UTC returned by scan {scan.id}, open for 1\xa0day until now"
    assert (
        f"resolved by scan {resolved} at {in_days(-6.5):%Y-%m-%d %H:%M} UTC: open for 2\xa0days, 12\xa0hours" in before
    )
