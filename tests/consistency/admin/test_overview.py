"""The overview in the admin, scans started from it, and mutes."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from consistency.history.overview import overview
from consistency.history.silence import acknowledge, mute, unmute
from consistency.history.writing import Memory
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, get, page_of, post, shown, stale
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

DEFAULT = (STALE, "orphaned_processing", "processing_job_done", REST)

pytestmark = pytest.mark.usefixtures("transactional_db")


# --- Overview --------------------------------------------------------------------------------------------
def test_before_any_scan_the_overview_says_so_and_offers_one(client: Client, reviewer: User) -> None:
    text = get(client, OVERVIEW)
    assert "Nothing is remembered yet" in text
    assert "Scan now" in text


def test_the_landing_page_links_to_the_overview_for_who_may_see_it(client: Client, person: Callable[..., User]) -> None:
    person("view_scan")
    text = get(client, "/admin/")
    assert "Consistency at a glance" in text
    assert "Health at a glance" not in text
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
    assert (card.name, card.open, card.last.new, card.acknowledged, card.muted, card.loud) == (STALE, 3, 3, 1, 0, 2)
    assert f'">{STALE}</a></h2>' in get(client, OVERVIEW)


def followed(client: Client, text: str, number: str) -> int:
    """How many rows the list shows that a number links to, of a page or of a part of one."""
    found = re.search(rf'href="([^"]+)">{number}</a>', text)
    assert found, number
    return len(shown(get(client, unescape(found[1]))))


def test_every_number_leads_to_just_as_many_rows_silenced_ones_too(client: Client, reviewer: User) -> None:
    stale(*(f"old{number}" for number in range(3)), "back")
    recorded(*DEFAULT)
    File.objects.filter(file_uuid="back").update(status="completed")
    recorded(*DEFAULT)
    File.objects.filter(file_uuid="back").update(status="processing")
    File.objects.filter(file_uuid="old0").delete()
    stale("new0", "new1", "new2")
    recorded(*DEFAULT)
    acknowledge([anomaly("new0").pk, anomaly("old1").pk], until=in_days(1), by="ann", reason="known")
    mute(STALE, until=in_days(7), by="ann", reason="importer", sticky=True)
    text = get(client, OVERVIEW)
    news, card = (text.partition(part)[2] for part in ('class="news"', f'id="check-{STALE}"'))
    told = {"open": 6, "new": 3, "returned": 1, "acknowledged": 2, "muted": 4}
    assert dict(overview().cards[0].numbers) == told
    for word, number in told.items():
        assert followed(client, card.partition(f"<dt>{word}</dt>")[2], str(number)) == number
    # Of both checks that a file without a job breaks.
    for word, number in {"new": 6, "returned": 2, "resolved": 2, "ongoing": 4}.items():
        link = re.search(rf'<a href="([^"]+)">{number}</a></strong> {word}', news)
        assert link, word
        assert len(shown(get(client, unescape(link[1])))) == number
    listed = get(client, f"{LIST}?news=1&state=open")
    assert listed.count("muted, 1\xa0week left") == 4
    assert "acknowledged, " in listed
    assert 'news=1&amp;state=open">New or back in the last scan' in text


def test_a_number_of_one_database_leads_to_its_own_rows(client: Client, reviewer: User) -> None:
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
    File.objects.all().delete()
    recorded(STALE)
    assert "The mute by ann ended just now: it is clean" in get(client, OVERVIEW)
    Mute.objects.update(ended_at=None, ended_because=None, until=timezone.now() - timedelta(minutes=5))
    assert "The mute by ann ended 5\xa0minutes ago: its time was over" in get(client, OVERVIEW)
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
    seen = overview()
    assert (seen.status, seen.cards[0].muted, seen.cards[0].tone) == ("ok", 1, "silent")


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
    seen = overview()
    assert (seen.status, [card.name for card in seen.left_out]) == ("ok", ["unknown_status"])
    text = get(client, OVERVIEW).partition('class="cards"')[0]
    told = re.search(
        r'Not in this status.*?<a href="([^"]+)">3 open of unknown_status</a> \(last asked 3.hours ago', text
    )
    assert told
    assert len(shown(get(client, unescape(told[1])))) == 3
    acknowledge([anomaly("1", "unknown_status").pk], until=in_days(1), by="ann", reason="known")
    assert ">2 open of unknown_status</a>" in get(client, OVERVIEW)
    mute("unknown_status", until=in_days(1), by="ann", reason="known")
    assert "Not in this status" not in get(client, OVERVIEW)


def test_that_no_scan_was_complete_is_a_reason_by_itself(client: Client, reviewer: User) -> None:
    recorded(STALE)
    text = get(client, OVERVIEW)
    assert "Because no scan that is remembered was complete" in text
    assert overview().status == "unknown"
    recorded(*DEFAULT)
    assert "none of them complete" not in get(client, OVERVIEW)


def test_checks_that_nobody_asked_for_are_no_fault(client: Client, reviewer: User) -> None:
    recorded(*DEFAULT)
    text = get(client, OVERVIEW)
    assert "Not asked by the scans that are remembered: " in text
    assert "Never ran" not in text


def test_the_squares_are_explained_and_those_of_an_info_check_warn_of_nothing(client: Client, reviewer: User) -> None:
    stale("a")
    a_file("left", "unregistered")
    recorded(*DEFAULT)
    text = get(client, OVERVIEW)
    assert "Squares: the last 90 scans" in text
    strips = {name: text.partition(f'id="check-{name}"')[2].partition("</article>")[0] for name in DEFAULT}
    assert 'rect class="found"' in strips[STALE]
    assert 'rect class="told"' in strips[REST]
    assert 'rect class="clean"' in strips["processing_job_done"]


def test_history_of_a_check_that_is_gone_is_shown_as_retired(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    Anomaly.objects.update(check_name="long_gone")
    Scan.objects.get().checks.update(check_name="long_gone")
    assert overview().degraded == []
    assert "retired" in get(client, OVERVIEW)
    assert "long_gone (retired)" in get(client, LIST)
    assert "This check is retired" in get(client, page_of(Anomaly.objects.get()))


# --- Scan now --------------------------------------------------------------------------------------------
def test_scan_now_records_and_tells_what_it_found(client: Client, reviewer: User) -> None:
    stale("a")
    post(client, "/admin/consistency/scan/now/")
    scan = Scan.objects.get()
    assert (scan.trigger, scan.actor, scan.new) == ("admin", "ann", 2)
    assert f"Scan {scan.pk}: 2 new, 0 returned, 0 resolved." in get(client, OVERVIEW)
    entry = LogEntry.objects.get(object_id=str(scan.pk))
    assert "2 new" in entry.change_message
    assert "could" not in get(client, f"/admin/consistency/scan/{scan.pk}/change/").partition("<tbody>")[2]


def test_scan_now_says_so_while_another_scan_records(client: Client, reviewer: User) -> None:
    other = Memory("default", trigger="command", actor="cron", seconds=5)
    try:
        assert "Scanning" in get(client, OVERVIEW)
        post(client, "/admin/consistency/scan/now/")
        assert "another scan of database" in get(client, OVERVIEW)
    finally:
        other.close()
    assert not Scan.objects.exists()
    assert "Scanning" not in get(client, OVERVIEW)


def test_a_scan_under_way_shows_how_many_of_its_checks_are_done_and_looks_again_by_itself(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.scanning.PATIENCE", 0.2)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        post(client, "/admin/consistency/scan/now/")
        text = get(client, OVERVIEW)
    assert "0 of 4 checks done, now stale_processing" in text
    assert '<progress max="4" value="0"' in text
    assert '<meta http-equiv="refresh"' in text
    deadline = time.monotonic() + 30
    while "Scanning" in get(client, OVERVIEW):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert Scan.objects.count() == 1


def test_scan_now_is_a_post_of_who_may(client: Client, person: Callable[..., User]) -> None:
    person(*SEE)
    post(client, "/admin/consistency/scan/now/", status=403)
    person("scan_now", name="bob")
    assert client.get("/admin/consistency/scan/now/", secure=True).status_code == 405
    post(client, "/admin/consistency/scan/now/", status=404, database="nowhere")
    assert not Scan.objects.exists()


def test_an_act_without_a_csrf_token_is_refused(reviewer: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(reviewer)
    assert strict.post("/admin/consistency/scan/now/", secure=True).status_code == 403
    assert not Scan.objects.exists()


# --- Mutes -----------------------------------------------------------------------------------------------
def test_a_check_is_muted_for_a_week_and_unmuted_each_with_a_reason(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    new = "/admin/consistency/mute/new/"
    post(client, new, status=400, check_name=STALE, length="7d", reason="", database="default")
    post(client, new, check_name=STALE, length="7d", reason="the importer lands Monday", database="default")
    made = Mute.objects.get()
    assert (made.by, made.reason, made.mark, made.sticky) == ("ann", "the importer lands Monday", 1, False)
    assert "the importer lands Monday" in get(client, OVERVIEW)
    assert STALE in get(client, "/admin/consistency/mute/?running=1").partition('id="result_list"')[2]
    end = f"/admin/consistency/mute/{made.pk}/end/"
    post(client, end, status=400, reason="")
    post(client, end, reason="it landed")
    made.refresh_from_db()
    assert made.ended_because == "unmuted"
    told = set(LogEntry.objects.filter(object_id=str(made.pk)).values_list("change_message", flat=True))
    assert "Unmuted: it landed" in told
    assert any(words.endswith("the importer lands Monday") for words in told)
    get(client, end, status=404)


def test_a_clean_check_is_not_muted_unless_sticky(client: Client, reviewer: User) -> None:
    recorded(STALE)
    sent: dict[str, Any] = {"check_name": STALE, "length": "1d", "reason": "ahead of the move", "database": "default"}
    assert "nothing to mute" in post(client, "/admin/consistency/mute/new/", status=400, **sent).content.decode()
    post(client, "/admin/consistency/mute/new/", **sent, sticky="on")
    assert Mute.objects.get().sticky


def test_who_may_not_mute_cannot(client: Client, person: Callable[..., User]) -> None:
    person(*SEE, "acknowledge_anomaly", "scan_now")
    post(client, "/admin/consistency/mute/new/", status=403, check_name=STALE, length="1d", reason="x")
    assert not Mute.objects.exists()
