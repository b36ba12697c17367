"""The list of anomalies in the admin: order, filters, search, and the texts around it."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute
from tests.consistency.admin.pages import LIST, get, page_of, shown, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_the_list_opens_on_open_anomalies_that_are_not_suppressed_newest_first(client: Client, reviewer: User) -> None:
    stale("first", "gone", "known")
    recorded(STALE)
    File.objects.filter(file_uuid="gone").delete()
    stale("later")
    recorded(STALE)
    acknowledge([anomaly("known").pk], until=in_days(1), by="ann", reason="known")
    text = get(client, LIST)
    assert shown(text) == {anomaly("first").pk, anomaly("later").pk}
    assert text.index("later.<wbr>mp4") < text.index("first.<wbr>mp4")
    mute(STALE, until=in_days(7), by="ann", reason="importer", sticky=True)
    assert shown(get(client, LIST)) == set()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=open", {"old", "new", "known", "rest"}),
        ("state=new", {"new", "rest"}),
        ("state=ongoing", {"old", "known"}),
        ("state=acknowledged", {"known"}),
        ("state=muted", {"rest"}),
        ("state=resolved", {"gone"}),
        ("state=all", {"old", "new", "known", "rest", "gone"}),
        (f"check={REST}&state=open", {"rest"}),
        ("severity__exact=1&state=open", {"rest"}),
        ("news=1", {"new"}),
        ("news=1&state=open", {"new", "rest"}),
        ("news=seen&state=open", {"old", "new", "known", "rest"}),
        ("news=resolved&state=resolved", {"gone"}),
        ("assignee=me", {"old"}),
        ("assignee=nobody", {"new"}),
        ("assignee=anybody", {"old"}),
        ("age=week", {"new"}),
        ("age=old", {"old"}),
        ("age=month", set()),
        ("q=ld.", {"old"}),
        ("q=.mp4&state=resolved", {"gone"}),
    ],
)
def test_it_is_filtered_and_searched(client: Client, reviewer: User, query: str, found: set[str]) -> None:
    stale("old", "known", "gone")
    recorded(STALE)
    File.objects.filter(file_uuid="gone").delete()
    stale("new")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    mute(REST, until=in_days(7), by="ann", reason="leftovers")
    acknowledge([anomaly("known").pk], until=in_days(1), by="ann", reason="known")
    Anomaly.objects.filter(object_id="old").update(assignee="ann", appeared_at=in_days(-8))
    ids = shown(get(client, f"{LIST}?{query}"))
    assert {row.object_id for row in Anomaly.objects.filter(pk__in=ids)} == found


@pytest.mark.parametrize("query", ["state=zzz", "check=nope", "age=year", "assignee=eve", "news=2"])
def test_a_filter_that_does_not_exist_is_refused_rather_than_shown_as_nothing_or_everything(
    client: Client, reviewer: User, query: str
) -> None:
    stale("a")
    recorded(STALE)
    answer = client.get(f"{LIST}?{query}", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?e=1")
    text = get(client, answer["Location"])
    assert "named a filter that does not exist" in text
    assert shown(text) == {anomaly("a").pk}
    get(client, f"{LIST}export/csv/?{query}", status=404)


@pytest.mark.parametrize("path", [LIST, f"{LIST}export/json/", "/admin/consistency/file/", "/admin/consistency/scan/"])
def test_the_address_asks_for_nothing_but_the_filters_beside_the_list(client: Client, path: str) -> None:
    client.force_login(User.objects.create_superuser("root"))
    try:
        for query in ("detail__contains=x", "file_path__contains=x", "actor__regex=x", "id__gt=0"):
            get(client, f"{path}?{query}", status=400)
        get(client, f"{path}?status__exact=ok" if "scan" in path else path)
    finally:
        User.objects.all().delete()


def test_a_row_of_a_muted_check_says_so(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    one = anomaly("a")
    acknowledge([one.pk], until=in_days(1), by="bob", reason="requeued")
    text = get(client, f"{LIST}?state=open")
    assert "muted, 1\xa0week left" in text
    held = Mute.objects.get().until
    muted = f"by ann until {held:%Y-%m-%d %H:%M} UTC, 1\xa0week left: importer"
    known = f"by bob until {in_days(1):%Y-%m-%d %H:%M} UTC, 1\xa0day left: requeued"
    assert f'title="Check muted {muted}"' in text
    assert f'title="Acknowledged {known}"' in text
    text = get(client, page_of(one))
    assert f"Check muted {muted}</p>" in text
    assert f"Acknowledged {known}</p>" in text
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)


def test_a_list_that_leaves_out_what_is_suppressed_says_so_and_leads_to_all(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    words = "The list leaves out suppressed anomalies"
    assert words not in get(client, LIST)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    text = get(client, f"{LIST}?news=1")
    assert f'{words}: <a href="?news=1&amp;state=open">show them too</a>' in text
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    assert words in get(client, LIST)
    assert words not in get(client, f"{LIST}?state=open")


def test_before_any_scan_an_empty_list_says_that_there_was_none(client: Client, reviewer: User) -> None:
    assert "No scan was recorded yet" in get(client, f"{LIST}?news=1&state=open")
    recorded(STALE)
    assert "No anomaly matches" in get(client, f"{LIST}?news=1&state=open")


def test_an_empty_list_says_why_it_is_empty(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    assert "No open anomaly without suppression" in get(client, LIST)
    for query in ("q=zzz", "state=resolved"):
        assert "No anomaly matches" in get(client, f"{LIST}?{query}")


def test_show_all_is_one_link_and_keeps_the_filters(client: Client, reviewer: User) -> None:
    stale(*(f"s{number}" for number in range(30)))
    recorded(STALE)
    text = get(client, f"{LIST}?check={STALE}")
    assert re.findall(r'href="([^"]*)"[^>]*>\s*Show all', text) == [f"?all=&amp;check={STALE}"]
    assert "30 results" in text
