"""Review in the admin: what each page shows, what each act changes, who may, and what it costs."""

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin import acts
from consistency.memory_models import Anomaly, Mute, Scan, State
from consistency.models import File
from consistency.overview import overview
from consistency.silence import acknowledge, mute
from tests.consistency.data import a_file, a_job
from tests.consistency.memory import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

LIST = "/admin/consistency/anomaly/"
OVERVIEW = "/admin/consistency/"
HOSTILE = "<script>alert(1)</script> \"' \x1b[31m \u202e.mp4"
SEE = ("view_anomaly", "view_scan", "view_mute")


@pytest.fixture
def person(client: Client) -> Callable[..., User]:
    """Sign somebody in who has these permissions only."""
    made: list[User] = []

    def sign_in(*permissions: str, name: str = "ann") -> User:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        made.append(user)
        return user

    yield sign_in  # type: ignore[misc]
    for user in made:
        LogEntry.objects.filter(user=user).delete()
        user.delete()


@pytest.fixture
def reviewer(person: Callable[..., User]) -> User:
    return person(*SEE, "acknowledge_anomaly", "mute_check", "scan_now")


def get(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, secure=True)
    assert answer.status_code == status
    return b"".join(answer).decode()


def post(client: Client, path: str, status: int = 302, **data: Any) -> Any:
    answer = client.post(path, data, secure=True)
    assert answer.status_code == status, answer.content.decode()
    return answer


def stale(*names: str) -> None:
    for name in names:
        a_file(name, "processing")


def page_of(of: Anomaly) -> str:
    return f"{LIST}{of.pk}/change/"


def shown(text: str) -> set[int]:
    """The anomalies that a list shows."""
    body = text.partition('id="result_list"')[2]
    return {int(part.partition("/")[0]) for part in body.split(f'href="{LIST}')[1:]}


# --- Overview --------------------------------------------------------------------------------------------
def test_before_any_scan_the_overview_says_so_and_offers_one(client: Client, reviewer: User) -> None:
    text = get(client, OVERVIEW)
    assert "Nothing is remembered yet" in text
    assert "Scan now" in text


def test_the_landing_page_links_to_the_overview_for_who_may_see_it(client: Client, person: Callable[..., User]) -> None:
    person("view_scan")
    assert "Consistency at a glance" in get(client, "/admin/")
    person("view_file", name="bob")
    assert "Consistency at a glance" not in get(client, "/admin/")
    assert "Scan now" not in get(client, OVERVIEW)


def test_a_card_counts_what_is_open_new_acknowledged_and_muted(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    card = overview().cards[0]
    assert (card.name, card.open, card.last.new, card.acknowledged, card.muted, card.loud) == (STALE, 3, 3, 1, 0, 2)
    assert "<h2>stale_processing</h2>" in get(client, OVERVIEW)


def test_the_status_follows_a_mute_at_once_and_an_info_never_degrades(reviewer: User) -> None:
    a_file("left", "unregistered")
    recorded(REST)
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
    recorded("stale_processing", "orphaned_processing", "processing_job_done", "unregistered_with_uuid")
    assert "too old" not in get(client, OVERVIEW)
    Scan.objects.update(recorded_at=timezone.now() - timedelta(hours=3))
    assert "too old" not in get(client, OVERVIEW)
    with override_settings(CONSISTENCY_MAX_AGE=2):
        assert "too old" in get(client, OVERVIEW)
    with override_settings(CONSISTENCY_MAX_AGE=0):
        assert "too old" not in get(client, OVERVIEW)


def test_history_of_a_check_that_is_gone_is_shown_as_retired(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    Anomaly.objects.update(check_name="long_gone")
    Scan.objects.get().checks.update(check_name="long_gone")
    assert overview().status == "ok"
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
    from consistency.memory import Memory

    other = Memory("default", trigger="command", actor="cron", seconds=5)
    try:
        assert "Scanning" in get(client, OVERVIEW)
        post(client, "/admin/consistency/scan/now/")
        assert "another scan of database" in get(client, OVERVIEW)
    finally:
        other.close()
    assert not Scan.objects.exists()
    assert "Scanning" not in get(client, OVERVIEW)


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
    Anomaly.objects.filter(object_id="old").update(assignee="ann", first_seen=in_days(-8))
    ids = shown(get(client, f"{LIST}?{query}"))
    assert {each.object_id for each in Anomaly.objects.filter(pk__in=ids)} == found


def test_a_name_with_a_space_is_found_by_its_beginning(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid="u", file_name="my holiday.mp4", status="processing")
    recorded(STALE)
    assert len(shown(get(client, f"{LIST}?q=my+hol"))) == 1
    assert not shown(get(client, f"{LIST}?q=hol"))


def test_a_hostile_name_is_only_text_everywhere(client: Client, reviewer: User) -> None:
    File.objects.create(file_uuid=HOSTILE, file_name=HOSTILE, status="processing")
    recorded(STALE)
    one = Anomaly.objects.get()
    acknowledge([one.pk], until=in_days(1), by=HOSTILE, reason=HOSTILE)
    for path in (f"{LIST}?state=all", page_of(one), OVERVIEW, f"{LIST}{one.pk}/act/acknowledge/"):
        assert "<script>alert" not in get(client, path)
    assert "&lt;script&gt;alert(1)" in get(client, page_of(one))


# --- Acts ------------------------------------------------------------------------------------------------
def test_one_is_acknowledged_for_a_day_with_a_reason_and_the_log_has_it(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/acknowledge/", length="1d", reason="being requeued")
    one.refresh_from_db()
    assert (one.acknowledged_by, one.acknowledged_reason) == ("ann", "being requeued")
    assert one.acknowledged_until is not None
    assert timedelta(hours=23) < one.acknowledged_until - timezone.now() < timedelta(hours=25)
    assert "being requeued" in LogEntry.objects.get(object_id=str(one.pk)).change_message
    text = get(client, page_of(one))
    assert "acknowledged by ann" in text
    assert text.count("being requeued") == 1
    post(client, f"{LIST}{one.pk}/act/end_acknowledgement/", reason="done with it")
    one.refresh_from_db()
    assert one.acknowledged_until is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": "1d", "reason": ""},
        {"length": "1d", "reason": "  "},
        {"length": "2y", "reason": "why"},
        {"length": "1d", "reason": "why", "until": "2001-01-01T00:00"},
        {"length": "1d", "reason": "why", "until": "2999-01-01T00:00"},
    ],
)
def test_without_a_reason_or_beyond_the_longest_time_nothing_happens(
    client: Client, reviewer: User, wrong: dict[str, str]
) -> None:
    stale("a")
    recorded(STALE)
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", status=400, **wrong)
    assert anomaly("a").acknowledged_until is None
    assert not LogEntry.objects.exists()


def test_those_selected_are_acknowledged_and_no_others(client: Client, reviewer: User) -> None:
    stale("a", "b", "c")
    recorded(STALE)
    chosen = [anomaly("a").pk, anomaly("b").pk]
    first = {"action": "acknowledge", "select_across": "0", "index": "0", "_selected_action": chosen}
    asked = post(client, LIST, status=200, **first).content.decode()
    assert "2 anomalies" in asked
    assert not Anomaly.objects.filter(acknowledged_until__isnull=False).exists()
    first.pop("index")
    post(client, LIST, **first, sent="1", length="7d", reason="until Monday")
    assert set(Anomaly.objects.filter(acknowledged_by="ann").values_list("pk", flat=True)) == set(chosen)
    assert LogEntry.objects.filter(change_message__endswith="until Monday").count() == 2


def test_all_that_match_are_acted_on_by_the_filter_and_logged_in_one_line(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "EACH", 10)
    stale(*(f"s{number}" for number in range(30)))
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    some = Anomaly.objects.filter(check_name=STALE).first()
    assert some
    sent = {"action": "acknowledge", "select_across": "1", "_selected_action": some.pk, "sent": "1"}
    with CaptureQueriesContext(connection) as queries:
        post(client, f"{LIST}?check={STALE}", **sent, length="1d", reason="all of them")
    assert Anomaly.objects.filter(acknowledged_by="ann").count() == 30
    assert anomaly("rest", REST).acknowledged_until is None
    assert len(queries) < 25
    entry = LogEntry.objects.get()
    assert entry.change_message.startswith(f"30 anomalies (check={STALE}): Acknowledged until ")


def test_they_are_assigned_and_noted(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/assign/", assignee="ann", reason="on call")
    post(client, f"{LIST}{one.pk}/act/note/", note="asked the uploader")
    one.refresh_from_db()
    assert (one.assignee, one.note) == ("ann", "asked the uploader")
    text = get(client, page_of(one))
    assert "Assigned to ann: on call" in text
    assert "Note: asked the uploader" in text
    post(client, f"{LIST}{one.pk}/act/assign/", status=400, assignee="nobody_known")


def test_recheck_scans_the_checks_of_those_selected_and_no_others(client: Client, reviewer: User) -> None:
    stale("a")
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    File.objects.all().delete()
    post(client, LIST, action="recheck", select_across="0", index="0", _selected_action=[anomaly("a").pk])
    assert anomaly("a").state == State.RESOLVED
    assert anomaly("rest", REST).state == State.NEW
    post(client, f"{LIST}{anomaly('rest', REST).pk}/act/recheck/")
    assert anomaly("rest", REST).state == State.RESOLVED


@pytest.mark.parametrize("name", ["acknowledge", "end_acknowledgement", "assign", "note", "recheck"])
def test_who_may_only_see_can_do_nothing(client: Client, person: Callable[..., User], name: str) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/{name}/", status=403, length="1d", reason="x", assignee="ann", note="x")
    post(client, LIST, action=name, select_across="0", index="0", _selected_action=[one.pk], sent="1")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None, note="").count() == 1
    assert Scan.objects.count() == 1
    text = get(client, page_of(one))
    assert "<form" not in text.partition('id="content-main"')[2].partition("footer")[0]


def test_who_may_not_see_sees_nothing(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person("view_file")
    for path in (LIST, page_of(anomaly("a")), f"{LIST}export/csv/", "/admin/consistency/scan/"):
        get(client, path, status=403)


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
    assert "<td>processing</td><td>completed" in text


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
    from consistency.subject import statements

    (statement,) = statements(anomaly("a"))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.fetchall() == [("a", "a.mp4", "a", "processing", "job_id is null")]


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
    sent = {"check_name": STALE, "length": "1d", "reason": "ahead of the move", "database": "default"}
    assert "nothing to mute" in post(client, "/admin/consistency/mute/new/", status=400, **sent).content.decode()
    post(client, "/admin/consistency/mute/new/", **sent, sticky="on")
    assert Mute.objects.get().sticky


def test_who_may_not_mute_cannot(client: Client, person: Callable[..., User]) -> None:
    person(*SEE, "acknowledge_anomaly", "scan_now")
    post(client, "/admin/consistency/mute/new/", status=403, check_name=STALE, length="1d", reason="x")
    assert not Mute.objects.exists()


# --- Export ----------------------------------------------------------------------------------------------
def test_the_export_is_what_the_list_shows_in_pieces_and_harmless_in_a_spreadsheet(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.PIECE", 2)
    File.objects.create(file_uuid="=1+1", file_name="=HYPERLINK(1)", status="processing")
    stale("a", "b", "c", "d")
    recorded(STALE)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="@known")
    rows = list(csv.DictReader(io.StringIO(get(client, f"{LIST}export/csv/"))))
    assert {row["object_id"] for row in rows} == {"'=1+1", "b", "c", "d"}
    told = json.loads(get(client, f"{LIST}export/json/?state=open"))["anomalies"]
    assert [row["object_id"] for row in told] == list(Anomaly.objects.values_list("object_id", flat=True))
    assert len(told) == 5
    (known,) = csv.DictReader(io.StringIO(get(client, f"{LIST}export/csv/?state=acknowledged")))
    assert (known["acknowledged_by"], known["acknowledged_reason"]) == ("ann", "'@known")
    assert json.loads(get(client, f"{LIST}export/json/?q=zzz")) == {"anomalies": []}
    get(client, f"{LIST}export/xls/", status=404)


# --- Cost ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [OVERVIEW, LIST, f"{LIST}?q=s1", f"{LIST}?check={STALE}&state=new&news=1&age=day"])
def test_a_page_asks_at_most_twelve_questions_and_counts_no_further_than_its_bound(
    client: Client, reviewer: User, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.paginator.MOST", 30)
    stale(*(f"s{number}" for number in range(40)))
    recorded(STALE, REST)
    for name in ("orphaned_processing", STALE, REST):
        mute(name, until=in_days(1), by="ann", reason="x", sticky=True)
    Mute.objects.filter(check_name=STALE).delete()
    with CaptureQueriesContext(connection) as queries:
        get(client, path)
    assert len(queries) <= 12
    counting = [query["sql"] for query in queries if "COUNT(*)" in query["sql"] and "anomaly" in query["sql"]]
    assert all("LIMIT 30" in sql or "acknowledged_until" in sql for sql in counting)
