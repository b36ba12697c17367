"""The overview in the admin: status, cards, and numbers that lead to their anomalies."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, override_settings
from django.utils import timezone

from consistency.history.overview import overview
from consistency.history.suppression import acknowledge, mute, unmute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from tests.consistency.admin.pages import LIST, OVERVIEW, get, page_of, rows, shown, stale
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

DEFAULT = (STALE, "orphaned_processing", "processing_job_done", REST)

pytestmark = pytest.mark.usefixtures("transactional_db")


# --- Overview --------------------------------------------------------------------------------------------
def test_before_any_scan_the_overview_says_so_and_offers_one(client: Client, reviewer: User) -> None:
    text = get(client, OVERVIEW)
    assert "No scan is recorded yet" in text
    assert "Scan now" in text


def test_the_landing_page_links_to_the_overview_for_who_may_see_it(client: Client, person: Callable[..., User]) -> None:
    person("view_scan")
    text = get(client, "/admin/")
    assert "Consistency at a glance" in text
    person("view_file", name="bob")
    assert "Consistency at a glance" not in get(client, "/admin/")
    assert "Scan now" not in get(client, OVERVIEW)


def test_the_landing_page_links_to_health_for_who_may_see_it(admin_client: Client) -> None:
    text = get(admin_client, "/admin/")
    assert text.index('href="/admin/health/">Health at a glance') < text.index("Consistency at a glance")
    get(admin_client, "/admin/health/")


def test_a_card_counts_what_is_open_new_acknowledged_and_muted(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    card = overview().cards[0]
    assert (card.name, card.open, card.last.new, card.acknowledged, card.muted, card.unsuppressed) == (
        STALE,
        3,
        3,
        1,
        0,
        2,
    )
    assert f'">{STALE}</a></h2>' in get(client, OVERVIEW)


def test_every_number_leads_to_just_as_many_rows_also_suppressed_ones(client: Client, reviewer: User) -> None:
    stale(*(f"old{number}" for number in range(3)), "back")
    recorded(*DEFAULT)
    File.objects.filter(file_uuid="back").update(status="completed")
    recorded(*DEFAULT)
    File.objects.filter(file_uuid="back").update(status="processing")
    delete_files(file_uuid="old0")
    stale("new0", "new1", "new2")
    recorded(*DEFAULT)
    acknowledge([anomaly("new0").pk, anomaly("old1").pk], until=in_days(1), by="ann", reason="known")
    mute(STALE, until=in_days(7), by="ann", reason="importer", sticky=True)
    text = get(client, OVERVIEW)
    news, card = (text.partition(part)[2] for part in ('class="changes"', f'id="check-{STALE}"'))
    told = {"acknowledged": 2, "muted": 4, "new": 3, "returned": 1}
    assert dict(overview().cards[0].numbers) == told
    assert "0</a></strong> open" in card
    for word, number in told.items():
        link = re.search(rf'<a href="([^"]+)">{number}</a> {word}', card)
        assert link, word
        assert len(rows(get(client, unescape(link[1])))) == number
    # Of both checks that a file without a job breaks.
    for word, number in {"new": 6, "returned": 2, "resolved": 2, "ongoing": 4}.items():
        link = re.search(rf'<a href="([^"]+)">{number}</a></strong> {word}', news)
        assert link, word
        assert len(shown(get(client, unescape(link[1])))) == number
    listed = get(client, f"{LIST}?news=1&state=open")
    assert len(re.findall(r"muted, 1\xa0week left|\(muted\)", listed)) == 4
    assert re.search("acknowledged[,)]", listed)


def test_a_number_of_one_database_leads_to_its_own_rows(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings, "elsewhere", connections.settings["default"])
    stale("a", "b")
    recorded(STALE)
    Anomaly.objects.filter(object_id="b").update(database="elsewhere")
    Scan.objects.update(database="elsewhere")
    ScanCheck.objects.update(database="elsewhere")
    link = re.search(rf'href="([^"]+)">{STALE}</a></h2>', get(client, f"{OVERVIEW}?database=elsewhere"))
    assert link
    assert shown(get(client, unescape(link[1]))) == {anomaly("b").pk}
    assert shown(get(client, unescape(link[1]).replace("elsewhere", "default"))) == {anomaly("a").pk}


# --- What ended by itself ------------------------------------------------------------------------------
def test_a_mute_that_was_exceeded_says_so_on_its_card_until_the_check_is_muted_again(
    client: Client, reviewer: User
) -> None:
    stale("a")
    recorded(STALE)
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    stale("b", "c")
    recorded(STALE)
    recorded(STALE)
    assert "The mute by ann ended just now: 3 is more than 1" in get(client, OVERVIEW)
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    assert "The mute by" not in get(client, OVERVIEW)
    unmute(STALE)
    assert "The mute by" not in get(client, OVERVIEW)


def test_a_mute_that_ended_because_all_was_clean_or_its_time_was_over_says_so_for_a_week(
    client: Client, reviewer: User
) -> None:
    stale("a")
    recorded(STALE)
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    delete_files()
    recorded(STALE)
    assert "The mute by ann ended just now: the check is clean" in get(client, OVERVIEW)
    Mute.objects.update(ended_at=None, ended_because=None, until=timezone.now() - timedelta(minutes=5))
    assert "The mute by ann ended 5\xa0minutes ago: the time was over" in get(client, OVERVIEW)
    Mute.objects.update(until=in_days(-8))
    assert "The mute by" not in get(client, OVERVIEW)


def test_the_status_follows_a_mute_at_once_and_an_info_never_degrades(reviewer: User) -> None:
    a_file("left", "unregistered")
    recorded(*DEFAULT)
    assert overview().status == "ok"
    stale("a")
    recorded(STALE, REST)
    assert overview().status == "degraded"
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    now = overview()
    assert (now.status, now.cards[0].muted, now.cards[0].tone) == ("ok", 1, "suppressed")


def test_a_mute_hides_no_check_that_could_not_run(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    mute(STALE, until=in_days(7), by="ann", reason="importer", sticky=True)
    scan = Scan.objects.get()
    check = scan.checks.get()
    scan.pk = check.pk = None
    scan.complete = False
    scan.save()
    check.scan, check.outcome, check.error, check.count = scan, "could_not_run", "a table is locked", None
    check.save()
    assert overview().status == "degraded"
    text = get(client, OVERVIEW)
    assert "Could not run: a table is locked" in text
    assert "1 found" in text
    assert "not complete" in text


def test_a_last_complete_scan_that_is_too_old_is_a_warning(client: Client, reviewer: User) -> None:
    recorded(*DEFAULT)
    assert "too old" not in get(client, OVERVIEW)
    Scan.objects.update(recorded_at=timezone.now() - timedelta(hours=3))
    assert "too old" not in get(client, OVERVIEW)
    with override_settings(CONSISTENCY_MAX_AGE=2):
        assert "is too old: does cron still run check_consistency?" in get(client, OVERVIEW)
        assert overview().status == "degraded"
    with override_settings(CONSISTENCY_MAX_AGE=0):
        assert "too old" not in get(client, OVERVIEW)


def test_what_is_open_of_checks_that_the_last_complete_scan_did_not_ask_is_named_beside_the_status(
    client: Client, reviewer: User
) -> None:
    for number in range(3):
        a_job(number + 1, "odd")
    recorded("unknown_status", "job_without_file")
    Scan.objects.update(recorded_at=timezone.now() - timedelta(hours=3))
    recorded(*DEFAULT)
    now = overview()
    assert (now.status, [card.name for card in now.left_out]) == ("ok", ["unknown_status"])
    text = get(client, OVERVIEW).partition('class="cards"')[0]
    told = re.search(r'Not counted in this status.*?<a href="([^"]+)">unknown_status \(3 open\)</a>', text)
    assert told
    assert len(shown(get(client, unescape(told[1])))) == 3
    cards = get(client, OVERVIEW).partition('class="cards"')[2]
    assert "last complete scan" not in text.partition("Not counted")[2]
    current, others = cards.split("<h2>Not in the last complete scan</h2>")
    assert current.count("<article") == len(DEFAULT)
    assert others.count("last run 3\xa0hours ago") == others.count("<article") == 2
    assert "last run" not in current
    acknowledge([anomaly("1", "unknown_status").pk], until=in_days(1), by="ann", reason="known")
    assert ">unknown_status (2 open)</a>" in get(client, OVERVIEW)
    mute("unknown_status", until=in_days(1), by="ann", reason="known")
    assert "Not counted in this status" not in get(client, OVERVIEW)


def test_that_no_scan_was_complete_is_a_reason_by_itself(client: Client, reviewer: User) -> None:
    recorded(STALE)
    text = get(client, OVERVIEW)
    assert "Because no recorded scan was complete" in text
    assert overview().status == "unknown"
    recorded(*DEFAULT)
    assert "No recorded scan is complete" not in get(client, OVERVIEW)


def test_checks_that_nobody_asked_for_are_no_fault(client: Client, reviewer: User) -> None:
    recorded(*DEFAULT)
    text = get(client, OVERVIEW)
    assert "Checks without a recorded scan: " in text
    assert "Never ran" not in text


def test_the_bars_are_explained_and_those_of_an_info_check_are_no_warning(client: Client, reviewer: User) -> None:
    stale("a")
    a_file("left", "unregistered")
    recorded(*DEFAULT)
    text = get(client, OVERVIEW)
    assert "Bars: findings of the last 90 scans" in text
    bars = {name: text.partition(f'id="check-{name}"')[2].partition("</article>")[0] for name in DEFAULT}
    assert 'rect class="found"' in bars[STALE]
    assert 'rect class="info"' in bars[REST]
    assert 'rect class="clean"' in bars["processing_job_done"]


def test_a_card_shows_its_peak_and_dates_and_leads_to_each_scan(client: Client, reviewer: User) -> None:
    first, last = (recorded(STALE).scan for _ in range(2))
    assert first
    assert last
    Scan.objects.filter(pk=first.id).update(recorded_at=datetime(2025, 11, 12, 6, 34, tzinfo=UTC))
    ScanCheck.objects.filter(scan_id=first.id).update(count=1463, outcome="found")
    card = get(client, OVERVIEW).partition(f'id="check-{STALE}"')[2].partition("</article>")[0]
    assert ">peak 1,463</p>" in card
    assert "<span>12 Nov 06:34</span>" in card
    bars = re.findall(r'<a href="([^"]+)" tabindex="-1"><title>([^<]+)</title>', card)
    assert [path for path, _ in bars] == [f"{OVERVIEW}scan/{scan.id}/change/" for scan in (first, last)]
    assert bars[0][1] == "2025-11-12 06:34 UTC: 1,463 found"
    # The list below has the same links for the keyboard, the newest first.
    assert re.findall(r'<li><a href="([^"]+)">([^<]+)</a>', card) == bars[::-1]
    assert "Scan " in get(client, bars[0][0])


def test_history_of_a_check_that_is_gone_is_shown_as_retired(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    Anomaly.objects.update(check_name="long_gone")
    Scan.objects.get().checks.update(check_name="long_gone")
    assert overview().degraded == []
    assert "retired" in get(client, OVERVIEW)
    assert "long_gone (retired)" in get(client, LIST)
    assert "This check is retired" in get(client, page_of(Anomaly.objects.get()))
