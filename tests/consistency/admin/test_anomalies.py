"""Anomalies in the admin: the list, its filters and search, a page for each, export, and what they cost."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from html import unescape

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Value
from django.forms import model_to_dict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin.base import log
from consistency.history.silence import acknowledge, mute
from consistency.history.subject import statements
from consistency.models import File, MonitorJob
from consistency.models.history import Anomaly, Mute, Scan
from consistency.registry import Finding
from tests.consistency.admin.pages import HOSTILE, LIST, OVERVIEW, SEE, get, page_of, post, shown, stale
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


# --- The list --------------------------------------------------------------------------------------------
def test_the_list_opens_on_what_is_open_and_not_silenced_newest_first(client: Client, reviewer: User) -> None:
    stale("first", "gone", "known")
    recorded(STALE)
    File.objects.filter(file_uuid="gone").delete()
    stale("later")
    recorded(STALE)
    acknowledge([anomaly("known").pk], until=in_days(1), by="ann", reason="known")
    text = get(client, LIST)
    assert shown(text) == {anomaly("first").pk, anomaly("later").pk}
    assert text.index("later.mp4") < text.index("first.mp4")
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
        ("q=ne", {"new"}),
        ("q=ol", {"old"}),
        ("q=ld", set()),
        ("q=NE", set()),
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
    assert {each.object_id for each in Anomaly.objects.filter(pk__in=ids)} == found


def test_a_name_with_a_space_is_found_by_its_beginning(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="u", file_name="my holiday.mp4", status="processing")
    recorded(STALE)
    assert len(shown(get(client, f"{LIST}?q=my+hol"))) == 1
    assert not shown(get(client, f"{LIST}?q=hol"))


def test_jobs_and_identities_are_found_by_their_own_identifiers(client: Client, reviewer: User, define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        yield Finding(object_type="identity", object_id="2f1b-one", detail="no row in identities")
        yield Finding(object_type="identity", object_id="9c-other", detail="no row in identities")

    define("outside", outside, detail=None)
    define("jobs", lambda: MonitorJob.objects.all(), detail=Value("there"))
    job = a_job(4711, "done")
    recorded("outside", "jobs")
    assert shown(get(client, f"{LIST}?q=2f1b")) == {anomaly("2f1b-one", "outside").pk}
    assert shown(get(client, f"{LIST}?q=47")) == {anomaly(str(job.pk), "jobs").pk}
    assert not shown(get(client, f"{LIST}?q=one"))


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


def test_a_hostile_name_is_only_text_everywhere(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid=HOSTILE, file_name=HOSTILE, status="processing")
    recorded(STALE)
    one = Anomaly.objects.get()
    acknowledge([one.pk], until=in_days(1), by=HOSTILE, reason=HOSTILE)
    muted = mute(STALE, until=in_days(1), by=HOSTILE, reason=HOSTILE)
    a_job(1, HOSTILE, of=HOSTILE)
    Scan.objects.get().checks.update(outcome="could_not_run", count=None, error=HOSTILE)
    for act in ("acknowledge", "end_acknowledgement", "note"):
        post(client, f"{LIST}{one.pk}/act/{act}/", reason=HOSTILE, length="1d", note=HOSTILE)
    acknowledge([one.pk], until=in_days(1), by=HOSTILE, reason=HOSTILE)
    Anomaly.objects.update(note=f"one\n{HOSTILE}\nthree", assignee=HOSTILE)
    pages = (
        f"{LIST}?state=all",
        page_of(one),
        OVERVIEW,
        f"{LIST}{one.pk}/history/",
        f"/admin/consistency/scan/{one.last_scan}/change/",
        "/admin/consistency/mute/",
        f"/admin/consistency/mute/{muted.pk}/change/",
        "/admin/",
    )
    refused = post(client, f"{LIST}{one.pk}/act/acknowledge/", status=400).content.decode()
    for shown_page in (*(get(client, path) for path in pages), refused):
        # What somebody goes on writing at is as they wrote it, and what a choice sends is what it is.
        text = re.sub(r'<textarea.*?</textarea>|<option value="[^"]*"', "", shown_page, flags=re.DOTALL)
        assert "<script>alert" not in text
        # It would turn what follows around, so that a program looks like a picture.
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)" in get(client, page_of(one))
    assert "\\u202e.mp4" in get(client, page_of(one))
    assert re.search(r"one<br>&lt;script.*mp4<br>three", get(client, page_of(one)))


def test_what_has_a_name_of_blanks_goes_by_its_key(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="a", file_name="  ", status="processing")
    recorded(STALE)
    for path in (LIST, page_of(anomaly("a"))):
        assert re.search("<(a|h1)[^>]*>file a</", get(client, path))


def test_the_sql_for_a_hostile_key_shows_all_that_it_holds_and_still_finds_the_row(
    client: Client, reviewer: User
) -> None:
    key = HOSTILE + "\\ %s \U000e0041"
    File.objects.create(file_uuid=key, file_name="a", status="processing")
    recorded(STALE)
    (statement,) = statements(Anomaly.objects.get())
    assert statement.isprintable()
    with connection.cursor() as cursor:
        cursor.execute(statement, None)
        assert [row[0] for row in cursor.fetchall()] == [key]


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


def test_a_list_that_leaves_out_what_is_silenced_says_so_and_leads_to_all(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    words = "Silenced ones are left out"
    assert words not in get(client, LIST)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    text = get(client, f"{LIST}?news=1")
    assert f'{words}: <a href="?news=1&amp;state=open">show them too</a>' in text
    mute(STALE, until=in_days(7), by="ann", reason="importer")
    assert words in get(client, LIST)
    assert words not in get(client, f"{LIST}?state=open")


def test_before_any_scan_an_empty_list_says_that_there_was_none(client: Client, reviewer: User) -> None:
    assert "no scan was recorded" in get(client, f"{LIST}?news=1&state=open")
    recorded(STALE)
    assert "Nothing matches" in get(client, f"{LIST}?news=1&state=open")


def test_an_empty_list_says_why_it_is_empty(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    assert "Nothing is open that nobody has silenced" in get(client, LIST)
    for query in ("q=zzz", "state=resolved"):
        assert "Nothing matches" in get(client, f"{LIST}?{query}")


# --- One anomaly -----------------------------------------------------------------------------------------
def test_its_page_shows_then_and_now_and_when_it_no_longer_holds(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    text = get(client, page_of(anomaly("a")))
    assert "It still holds" in text
    assert "job_id is null" in text
    assert "differs" not in text
    File.objects.update(status="completed")
    text = get(client, page_of(anomaly("a")))
    assert "It no longer holds" in text
    assert "no longer breaks the rule" in text
    assert re.search(r'>processing</div></td><td><div class="value">completed .*changed', text)
    File.objects.all().delete()
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
    assert "WHERE (&quot;files&quot;.&quot;job_id&quot; IS NULL" in text or "IS NULL" in text

    (statement,) = statements(anomaly("a"))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.fetchall() == [("a", "a.mp4", "a", "processing", "job_id is null")]


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


def test_its_page_stands_while_the_table_cannot_be_asked(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files RENAME job_id TO another")
    try:
        text = get(client, page_of(anomaly("a")))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE files RENAME another TO job_id")
    assert "could not be asked: column" in text
    assert "job_id is null" in text


def elsewhere(one: Anomaly) -> Anomaly:
    """The same on another database."""
    return Anomaly.objects.create(**model_to_dict(one, exclude=["id", "database"]), database="replica")


def test_others_of_the_same_file_are_those_of_its_database(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    other = elsewhere(one)
    assert f"{LIST}{other.pk}/change/" not in get(client, page_of(one)).partition("Who did what")[2]


def test_what_is_muted_on_another_database_is_heard_here_and_silent_there(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    here, there = anomaly("a"), elsewhere(anomaly("a"))
    mute(STALE, until=in_days(1), by="ann", reason="x", sticky=True, database="replica")
    assert shown(get(client, LIST)) == {here.pk}
    Mute.objects.update(database="default")
    assert shown(get(client, LIST)) == {there.pk}


def test_an_acknowledgement_together_with_many_stands_beside_an_older_one_of_its_own(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    log(reviewer.pk, Anomaly, "Acknowledged until long ago: the first", [one])
    monkeypatch.setattr("consistency.admin.acts.EACH", 0)
    post(client, f"{LIST}{one.pk}/act/acknowledge/", length="1d", reason="the second")
    text = get(client, page_of(one)).partition("Who did what")[2]
    assert "the first" in text
    assert text.count("the second") == 1


# --- Export ----------------------------------------------------------------------------------------------
def exported(client: Client, query: str) -> list[dict[str, str]]:
    """The rows of a CSV that says that it is whole."""
    text, _, ending = get(client, f"{LIST}export/csv/{query}").rpartition("# ")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert ending == f"complete: true, rows: {len(rows)}\r\n"
    return rows


def cut_short(client: Client, how: str) -> str:
    """An export whose session in PostgreSQL is ended after its first pieces."""
    pieces = iter(client.get(f"{LIST}export/{how}/", secure=True))
    first = next(pieces) + next(pieces)
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        ended = "SELECT pg_terminate_backend(%s, 5000)"
        other.execute(ended, [connection.connection.info.backend_pid])
    try:
        return (first + b"".join(pieces)).decode()
    finally:
        connection.close()


def test_an_export_that_is_cut_short_says_so_at_its_end(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.order.PIECE", 2)
    stale("a", "b", "c", "d", "e")
    recorded(STALE)
    *rows, ending = cut_short(client, "csv").splitlines()
    problem = "the connection to database 'default' was lost. Try again"
    assert (len(rows) - 1, ending) == (2, f"# complete: false, rows: 2, error: {problem}")
    told = json.loads(cut_short(client, "json"))
    assert len(told.pop("anomalies")) == 2
    assert told == {"rows": 2, "error": problem, "complete": False}


def test_the_export_is_what_the_list_shows_in_pieces_and_harmless_in_a_spreadsheet(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.order.PIECE", 2)
    File.objects.create(file_uuid="=1+1", file_name="=HYPERLINK(1)", status="processing")
    stale("a", "b", "c", "d")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="@known")
    rows = exported(client, "")
    assert {row["object_id"] for row in rows} == {"'=1+1", "b", "c", "d"}
    whole = json.loads(get(client, f"{LIST}export/json/?state=open"))
    told = whole["anomalies"]
    assert (list(whole)[-1], whole["complete"], whole["rows"]) == ("complete", True, 5)
    assert [row["object_id"] for row in told] == list(Anomaly.objects.values_list("object_id", flat=True))
    assert len(told) == 5
    (known,) = exported(client, "?state=acknowledged")
    assert (known["acknowledged_by"], known["acknowledged_reason"]) == ("ann", "'@known")
    assert json.loads(get(client, f"{LIST}export/json/?q=zzz")) == {"anomalies": [], "rows": 0, "complete": True}
    get(client, f"{LIST}export/xls/", status=404)


def test_whatever_may_begin_a_formula_is_text_in_the_export(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="a", file_name="\t=1+1", status="processing")
    recorded(STALE)
    Anomaly.objects.update(note="a;=2", assignee="\uff1d3")
    (row,) = exported(client, "")
    assert (row["file_name"], row["note"], row["assignee"]) == ("\t'=1+1", "a;'=2", "'\uff1d3")
    (told,) = json.loads(get(client, f"{LIST}export/json/"))["anomalies"]
    assert (told["file_name"], told["note"], told["assignee"]) == ("\t=1+1", "a;=2", "\uff1d3")


# --- Cost ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [OVERVIEW, LIST, f"{LIST}?q=s1", f"{LIST}?check={STALE}&state=new&news=1&age=day"])
def test_a_page_asks_at_most_twelve_questions_and_counts_no_further_than_its_bound(
    client: Client, reviewer: User, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.history.paginator.MOST", 30)
    monkeypatch.setattr("consistency.history.lists.FEW", 30)
    stale(*(f"s{number}" for number in range(40)))
    recorded(STALE, REST)
    for name in ("orphaned_processing", STALE, REST):
        mute(name, until=in_days(1), by="ann", reason="x", sticky=True)
    Mute.objects.filter(check_name=STALE).delete()
    with CaptureQueriesContext(connection) as queries:
        get(client, path)
    assert len(queries) <= 12
    counting = [query["sql"] for query in queries if "COUNT(*)" in query["sql"] and "anomaly" in query["sql"]]
    assert all("LIMIT 31" in sql or "acknowledged_until" in sql for sql in counting)


def test_show_all_is_one_link_and_keeps_the_filters(client: Client, reviewer: User) -> None:
    stale(*(f"s{number}" for number in range(30)))
    recorded(STALE)
    text = get(client, f"{LIST}?check={STALE}")
    assert re.findall(r'href="([^"]*)"[^>]*>\s*Show all', text) == [f"?all=&amp;check={STALE}"]
    assert "30 results" in text
