"""The page of one anomaly in the admin: then and now, neighbours, hostile texts."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.forms import model_to_dict
from django.test import Client
from django.utils import timezone

from consistency.history.current_state import object_sql
from consistency.history.suppression import acknowledge, comment, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan
from consistency.scan.sql import query_sql
from tests.consistency.admin.pages import HOSTILE, LIST, OVERVIEW, SEE, get, page_of, post, shown, stale
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_the_page_compares_then_and_now_and_says_when_the_rule_is_kept(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    text = get(client, page_of(anomaly("a")))
    assert "The file still breaks the rule" in text
    assert "job_id is null" in text
    assert "Then and now" not in text
    File.objects.update(status="completed")
    text = get(client, page_of(anomaly("a")))
    assert "The file no longer breaks the rule" in text
    assert "no longer breaks the rule" in text
    assert re.search(r'>processing</div></td><td><div class="value">completed<', text)
    assert "file&#x27;s name" not in text, "has not changed"
    delete_files()
    assert "No row has this file_uuid any more" in get(client, page_of(anomaly("a")))


def test_its_page_shows_the_jobs_of_the_file_the_other_anomalies_and_the_sql(client: Client, reviewer: User) -> None:
    a_job(5, "failed", of="a", finished_at=timezone.now())
    a_file("a", "processing", job=5)
    recorded("orphaned_processing")
    File.objects.update(job=None)
    recorded(STALE)
    text = get(client, page_of(anomaly("a")))
    assert "job 5, failed" in text
    assert "orphaned_processing" in text
    assert "AND &quot;files&quot;.&quot;job_id&quot; IS NULL\n" in text

    (statement,) = object_sql(anomaly("a"))
    assert " AS " not in statement
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert [row[:4] for row in cursor.fetchall()] == [("a", "a.mp4", "", "processing")]


def test_the_title_names_the_rule_and_the_object_and_the_path_stands_below(client: Client, reviewer: User) -> None:
    a_file("a", "processing")
    File.objects.update(file_path="/srv/media/a.mp4")
    for number in (17, 18):
        a_job(number, "running", of="a")
    a_job(19, "odd", of="gone")
    recorded("stale_processing", "duplicate_active_jobs", "unknown_status")
    titles = {
        anomaly("a"): "Stale processing: a.mp4",
        anomaly("17", "duplicate_active_jobs"): "Duplicate active jobs: job 17 of a.mp4",
        anomaly("18", "duplicate_active_jobs"): "Duplicate active jobs: job 18 of a.mp4",
        anomaly("19", "unknown_status"): "Unknown status: job 19",
    }
    for one, title in titles.items():
        text = get(client, page_of(one))
        assert f"<title>{title} |" in text
        assert f'<h1 class="target">{title}</h1>' in text
        assert ("<code>/srv/media/a.mp4</code>" in text) == (one.object_id != "19")
    assert re.search("Open since .* ago|just now.*, seen once, last seen", get(client, page_of(anomaly("a"))))
    delete_files()
    recorded(STALE)
    assert re.search("Resolved .* UTC, open since .*, seen once", get(client, page_of(anomaly("a"))))


def test_an_anomaly_is_marked_as_reviewed_and_the_history_says_by_whom(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    assert 'value="Mark as reviewed"' in get(client, page_of(one))
    post(client, f"{LIST}{one.pk}/act/mark_reviewed/")
    assert anomaly("a").reviewed_at
    text = get(client, page_of(one))
    assert "Marked as reviewed: 1 anomaly." in text
    assert 'value="Mark as reviewed"' not in text
    assert re.search('<strong>ann</strong> <span class="text">reviewed<', text.partition("<h2>History</h2>")[2])


@pytest.mark.parametrize("key", ["cam_25_11_2026", "a/b", "50%", "a?b#c", "_2F"])
def test_its_page_leads_to_the_file_whatever_its_key(client: Client, person: Callable[..., User], key: str) -> None:
    person(*SEE, "view_file")
    a_file(key, "processing")
    recorded(STALE)
    (link,) = re.findall(r'href="(/admin/consistency/file/[^"]+)"', get(client, page_of(anomaly(key))))
    assert f"{key}.mp4" in get(client, unescape(link))


def test_next_and_previous_go_through_the_list_it_came_from(client: Client, reviewer: User) -> None:
    stale("a", "b")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    newest, oldest = Anomaly.objects.filter(check_name=STALE)
    query = f"_changelist_filters=check%3D{STALE}"
    first, last = (get(client, f"{page_of(one)}?{query}") for one in (newest, oldest))
    assert f'rel="next" accesskey="n" href="{page_of(oldest)}?{query}' in first
    assert f'rel="prev" accesskey="p" href="{page_of(newest)}?{query}' in last
    assert 'rel="next"' not in last
    found = get(client, f"{LIST}?check={STALE}")
    assert f"{page_of(newest)}?{query}" in found


def test_the_page_is_shown_while_the_table_cannot_be_read(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files RENAME job_id TO another")
    try:
        text = get(client, page_of(anomaly("a")))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE files RENAME another TO job_id")
    assert "The current rows could not be read: column" in text
    assert "job_id is null" in text


def elsewhere(one: Anomaly) -> Anomaly:
    """The same on another database."""
    return Anomaly.objects.create(
        **model_to_dict(one, exclude=["id", "database", "appeared_event"]),
        database="replica",
        appeared_event=one.appeared_event + 1,
    )


def test_others_of_the_same_file_are_those_of_its_database(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    other = elsewhere(one)
    assert f"{LIST}{other.pk}/change/" not in get(client, page_of(one)).partition("<h2>History</h2>")[2]


def test_a_mute_suppresses_the_anomalies_of_its_database_alone(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    here, there = anomaly("a"), elsewhere(anomaly("a"))
    mute(STALE, until=in_days(1), by="ann", reason="x", sticky=True, database="replica")
    assert shown(get(client, LIST)) == {here.pk}
    Mute.objects.update(database="default")
    assert shown(get(client, LIST)) == {there.pk}


def test_a_hostile_name_is_only_text_everywhere(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid=HOSTILE, file_name=HOSTILE, status="processing")
    recorded(STALE)
    one = Anomaly.objects.get()
    acknowledge([one.pk], until=in_days(1), by=HOSTILE, reason=HOSTILE)
    made = mute(STALE, until=in_days(1), by=HOSTILE, reason=HOSTILE)
    a_job(1, HOSTILE, of=HOSTILE)
    Scan.objects.get().checks.update(outcome="could_not_run", count=None, error=HOSTILE)
    for action in ("acknowledge", "end_acknowledgement", "comment"):
        post(client, f"{LIST}{one.pk}/act/{action}/", category="later", reason=HOSTILE, length="1d", comment=HOSTILE)
    acknowledge([one.pk], until=in_days(1), by=HOSTILE, reason=HOSTILE)
    comment([one.pk], text=f"one\n{HOSTILE}\nthree", by=HOSTILE)
    Anomaly.objects.update(assignee=HOSTILE)
    pages = (
        f"{LIST}?state=all",
        page_of(one),
        OVERVIEW,
        "/admin/consistency/anomalyevent/",
        f"/admin/consistency/scan/{Scan.objects.get().pk}/change/",
        "/admin/consistency/mute/",
        f"/admin/consistency/mute/{made.pk}/change/",
        "/admin/",
    )
    reviewer.user_permissions.add(Permission.objects.get(codename="view_anomalyevent"))
    refused = post(client, f"{LIST}{one.pk}/act/acknowledge/", status=400).content.decode()
    for shown_page in (*(get(client, path) for path in pages), refused):
        # A text area keeps the text as it was written, and the value of a choice stays the value.
        text = re.sub(r'<textarea.*?</textarea>|<option value="[^"]*"', "", shown_page, flags=re.DOTALL)
        assert "<script>alert" not in text
        # The character turns the text after it around: a program looks like a picture.
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)" in get(client, page_of(one))
    assert "\\u202e.mp4" in get(client, page_of(one))
    assert re.search(r"one<br>&lt;script.*mp4<br>three", get(client, page_of(one)))


def test_what_has_a_name_of_blanks_goes_by_its_key(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="a", file_name="  ", status="processing")
    recorded(STALE)
    for path in (LIST, page_of(anomaly("a"))):
        assert re.search("<(a|h1)[^>]*>(Stale processing: )?file a</", get(client, path))


def test_the_sql_for_a_hostile_key_shows_all_that_it_holds_and_still_finds_the_row(
    client: Client, reviewer: User
) -> None:
    key = HOSTILE + "\\ %s \n\U000e0041 '\\"
    File.objects.create(file_uuid=key, file_name="a", status="processing")
    recorded(STALE)
    (statement,) = object_sql(Anomaly.objects.get())
    assert statement.replace("\n", "").isprintable()
    with connection.cursor() as cursor:
        cursor.execute(statement, None)
        assert [row[0] for row in cursor.fetchall()] == [key]


def test_line_breaks_stand_outside_literals() -> None:
    files = File.objects.filter(file_path="C:\\").filter(file_name="x   FROM y")
    statement = query_sql(files, "default", reindent=True)
    assert statement
    assert "\nFROM " in statement
    assert "'x   FROM y'" in statement


def test_next_and_previous_follow_the_order_of_resolved_anomalies(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    for name in ("b", "a", "c"):
        delete_files(file_uuid=name)
        recorded(STALE)
    text = get(client, f"{page_of(anomaly('a'))}?_changelist_filters=state%3Dresolved")
    assert f'rel="next" accesskey="n" href="{page_of(anomaly("b"))}?' in text
    assert f'rel="prev" accesskey="p" href="{page_of(anomaly("c"))}?' in text


def test_the_history_of_an_anomaly_shows_what_scans_and_people_did(client: Client, reviewer: User) -> None:
    stale("a")
    first = recorded(STALE).scan
    acknowledge([anomaly("a").pk], until=in_days(1), by="bob", reason="requeued")
    delete_files()
    recorded(STALE)
    stale("a")
    last = recorded(STALE).scan
    assert first
    assert last
    page = get(client, page_of(anomaly("a")))
    assert re.search(f"Open since .* seen twice, returned once, last seen .* UTC by scan {last.id}\\.</p>", page)
    text = page.partition("<h2>History</h2>")[2].partition("</section>")[0]
    events = [
        re.sub("<[^>]*>", "", event).partition(" UTC ")[2].strip() for event in re.findall("<li>(.*?)</li>", text)
    ]
    assert events[0] == f"returned by scan {last.id}"
    assert events[1] == f"acknowledgement ended by scan {last.id}: the anomaly returned"
    assert events[2].startswith("resolved by scan ")
    assert events[3].startswith("bob acknowledged until")
    assert events[4] == f"found by scan {first.id}"


def test_the_history_page_of_django_leads_to_the_page(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    answer = client.get(f"{LIST}{anomaly('a').pk}/history/", secure=True)
    assert (answer.status_code, answer["Location"]) == (302, page_of(anomaly("a")))
