"""Review over REST: lists and their pages, acts and who may, what the admin's log keeps of them."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.models import TokenUser

from config.access import keys
from config.access.tokens import RefreshToken
from config.postgres.deadline import remaining
from consistency.memory import Memory
from consistency.memory_models import Anomaly, Mute, Scan, State
from consistency.models import File
from consistency.recorder import scan_and_record
from consistency.registry import CHECKS, Check
from consistency.selection import chosen
from consistency.silence import acknowledge, mute
from tests.consistency.data import a_file

pytestmark = pytest.mark.usefixtures("transactional_db")
API = "/api/v1/consistency"
ACTS = ("acknowledge_anomaly", "mute_check", "scan_now")
Ask = Callable[..., Any]


def asker(headers: dict[str, str]) -> Ask:
    client = Client(raise_request_exception=False)

    def ask(path: str, body: Any = None, method: str | None = None) -> Any:
        how = method or ("get" if body is None else "post")
        more = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(client, how)(f"{API}{path}", secure=True, headers=headers, **more)

    return ask


@pytest.fixture
def read() -> Ask:
    """Ask with an API key."""
    return asker({"X-API-Key": keys.issue("tests", days=1)[1]})


@pytest.fixture
def ask() -> Ask:
    """Ask as somebody with all three permissions."""
    return person("ada", *ACTS)


def person(name: str, *permissions: str) -> Ask:
    user, _ = User.objects.get_or_create(username=name, defaults={"password": "!"})
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return asker({"Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"})


@pytest.fixture(autouse=True)
def _nobody_left(transactional_db: None) -> Any:
    yield
    LogEntry.objects.all().delete()
    User.objects.all().delete()


def two_checks() -> list[Check]:
    return chosen(["stale_processing", "unknown_status"])


def scanned(*names: str) -> None:
    """Record a scan in which these files are stale."""
    for name in names:
        a_file(name, "processing")
    assert scan_and_record(two_checks()).scan


def told(answer: Any) -> list[str]:
    return [row["object_id"] for row in answer.json()["anomalies"]]


# --- Reading ---------------------------------------------------------------------------------------------
def test_a_scan_is_listed_with_what_each_check_came_to(read: Ask) -> None:
    scanned("one", "two")
    scanned()
    newest, first = read("/scans").json()["scans"]
    assert (first["new"], newest["new"], newest["ongoing"]) == (2, 0, 2)
    assert [check["check"] for check in newest["checks"]][:1] == ["stale_processing"]
    assert read(f"/scans/{first['id']}").json() == first
    assert read("/scans/999999").status_code == 404
    assert read("/scans?complete=0").json()["scans"] == []


def test_an_anomaly_is_listed_and_shown_by_itself(read: Ask) -> None:
    scanned("one")
    [row] = read("/anomalies").json()["anomalies"]
    assert (row["check"], row["object_id"], row["state"], row["acknowledged"], row["muted_until"]) == (
        "stale_processing", "one", "new", None, None
    )  # fmt: skip
    assert read(f"/anomalies/{row['id']}").json() == row
    assert "No anomaly has the number 999999" in read("/anomalies/999999").json()["detail"]


def test_a_check_says_what_it_last_came_to_and_a_retired_one_comes_last(read: Ask, define: Any) -> None:
    scratch = define("scratch", lambda: File.objects.all())
    a_file("one", "processing")
    scan_and_record([*two_checks(), scratch])
    del CHECKS["scratch"]
    checks = read("/checks").json()["checks"]
    assert (checks[0]["check"], checks[0]["count"], checks[0]["new"], checks[0]["mute"]) == (
        "stale_processing", 1, 1, None
    )  # fmt: skip
    assert (checks[-1]["check"], checks[-1]["retired"], checks[-1]["title"], checks[-1]["count"]) == (
        "scratch", True, None, 1
    )  # fmt: skip
    assert told(read("/anomalies?check=scratch")) == ["one"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["old", "mute", "new", "ack"]),
        ("?check=unknown_status", ["mute"]),
        ("?check=unknown_status,stale_processing", ["old", "mute", "new", "ack"]),
        ("?severity=info", []),
        ("?severity=info,warn,error", ["old", "mute", "new", "ack"]),
        ("?state=new", ["mute", "new"]),
        ("?state=ongoing", ["old", "ack"]),
        ("?state=resolved", ["gone"]),
        ("?state=all", ["old", "mute", "new", "ack", "gone"]),
        ("?assignee=ada", ["ack"]),
        ("?database=default", ["old", "mute", "new", "ack"]),
        ("?silenced=1", ["mute", "ack"]),
        ("?silenced=0", ["old", "new"]),
        ("?silenced=0&state=new", ["new"]),
        ("?since=1h", ["mute", "new", "ack"]),
        ("?since=2026-01-01T00:00:00%2B01:00", ["old", "mute", "new", "ack"]),
        ("?since=2999-01-01T00:00:00Z", []),
        ("?uuid=ne", ["new"]),
        ("?name=mut", ["mute"]),
        ("?name=MUT", []),
        ("?uuid=%25", []),
    ],
)
def test_filters_choose(read: Ask, query: str, found: list[str]) -> None:
    scanned("old", "ack", "gone")
    Anomaly.objects.filter(object_id="old").update(first_seen=timezone.now() - timedelta(days=2))
    Anomaly.objects.filter(object_id="ack").update(
        assignee="ada", acknowledged_by="ada", acknowledged_at=timezone.now(),
        acknowledged_until=timezone.now() + timedelta(hours=1), acknowledged_reason="known",
    )  # fmt: skip
    File.objects.filter(file_uuid="gone").delete()
    a_file("mute", "nonsense")
    scanned("new")
    mute("unknown_status", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    answer = read(f"/anomalies{query}")
    assert answer.status_code == 200, answer.content
    assert sorted(told(answer)) == sorted(found)


def test_a_mute_that_was_exceeded_silences_nothing_and_is_left_as_it_is(read: Ask) -> None:
    scanned("one")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    assert told(read("/anomalies?silenced=1")) == ["one"]
    Mute.objects.update(mark=0)
    assert told(read("/anomalies?silenced=1")) == []
    assert read("/checks").json()["checks"][0]["mute"] is None
    assert Mute.objects.get().ended_at is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/anomalies?state=opne", "Did you mean 'open'? Allowed: open, new, ongoing, returned, resolved, all."),
        ("/anomalies?severity=bad", "Allowed: info, warn, error."),
        ("/anomalies?check=stale_procesing", "Did you mean 'stale_processing'?"),
        ("/anomalies?check=", "unknown check ''."),
        ("/anomalies?check=%00", "unknown check"),
        ("/anomalies?silenced=yes", "Allowed: 0, 1."),
        ("/anomalies?database=replica", "Allowed: default."),
        (
            "/anomalies?since=yesterday",
            "a length of time such as 24h or 7d, or an instant such as 2026-05-18T17:30:00Z",
        ),
        ("/anomalies?since=2026-13-01T00:00:00Z", "Expected: a length of time"),
        ("/anomalies?since=2026-01-01T00:00:00", "Expected: a length of time"),
        ("/anomalies?since=0001-01-01T00:00:00%2B23:59", "Expected: a length of time"),
        ("/anomalies?state=", "unknown state ''. Allowed: open, new,"),
        ("/anomalies?database=", "unknown database ''. Allowed: default."),
        ("/scans?database=", "unknown database ''. Allowed: default."),
        ("/checks?database=", "unknown database ''. Allowed: default."),
        ("/scans/1?x=1", "'x' is not known here: this address takes no parameters."),
        ("/anomalies/1?database=default", "'database' is not known here"),
        ("/anomalies?uuid=a&uuid=b", "uuid may be given once."),
        ("/anomalies?uuid=%00", "NUL"),
        ("/anomalies?limit=0", "limit must be one whole number from 1 to 1000."),
        ("/anomalies?limit=1001", "limit must be one whole number from 1 to 1000."),
        ("/anomalies?limt=1", "Did you mean 'limit'?"),
        ("/anomalies?cursor=x", "cursor must be one from `next` or `previous`"),
        ("/anomalies?cursor=W10", "cursor must be one from"),
        ("/anomalies?cursor=", "cursor must be one from"),
        ("/scans?complete=maybe", "Allowed: 0, 1."),
        ("/scans?state=open", "Allowed: database, complete, limit, cursor."),
        ("/checks?check=x", "Allowed: database."),
    ],
)
def test_a_bad_parameter_is_told_what_is_allowed(read: Ask, path: str, words: str) -> None:
    answer = read(path)
    assert answer.status_code == 400
    assert list(answer.json()) == ["detail"]
    assert words in answer.json()["detail"]


# --- Pages -----------------------------------------------------------------------------------------------
def followed(read: Ask, path: str, link: str = "next") -> list[str]:
    found = []
    while path:
        answer = read(path).json()
        found += [row["object_id"] for row in answer["anomalies"]]
        assert answer[link] is None or answer[link].startswith(f"{API}/anomalies?")
        path = (answer[link] or "").removeprefix(API)
    return found


@pytest.mark.parametrize("state", ["open", "new", "all"])
def test_pages_hold_each_row_once_though_all_were_first_seen_at_one_moment(read: Ask, state: str) -> None:
    scanned(*(f"file {number:02}" for number in range(25)))
    whole = told(read(f"/anomalies?state={state}"))
    assert len(set(whole)) == 25
    assert followed(read, f"/anomalies?state={state}&limit=4") == whole


def test_the_way_back_is_the_way_that_was_come(read: Ask) -> None:
    scanned(*(f"file {number:02}" for number in range(10)))
    pages, path = [], "/anomalies?limit=4&check=stale_processing"
    while path:
        pages.append(read(path).json())
        path = (pages[-1]["next"] or "").removeprefix(API)
    assert [len(page["anomalies"]) for page in pages] == [4, 4, 2]
    assert pages[0]["previous"] is None
    back = read(pages[2]["previous"].removeprefix(API)).json()
    assert back["anomalies"] == pages[1]["anomalies"]
    first = read(back["previous"].removeprefix(API)).json()
    assert (first["anomalies"], first["previous"]) == (pages[0]["anomalies"], None)
    assert read(first["next"].removeprefix(API)).json()["anomalies"] == pages[1]["anomalies"]


def test_rows_that_come_and_go_meanwhile_shift_nothing(read: Ask) -> None:
    scanned(*(f"file {number}" for number in range(6)))
    page = read("/anomalies?limit=3").json()
    rest = set(followed(read, page["next"].removeprefix(API)))
    Anomaly.objects.filter(pk=page["anomalies"][0]["id"]).delete()
    scanned("newer")
    assert set(followed(read, page["next"].removeprefix(API))) == rest


def test_a_cursor_of_another_order_is_refused(read: Ask) -> None:
    scanned("one", "two")
    cursor = read("/anomalies?limit=1").json()["next"].partition("cursor=")[2]
    assert read(f"/anomalies?cursor={cursor}&state=resolved").status_code == 400


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "", "x", "\0"])
def test_a_forged_cursor_is_refused(read: Ask, instant: str) -> None:
    scanned("one", "two")
    forged = json.dumps([False, "first_seen", "id", instant, "1"]).encode()
    answer = read(f"/anomalies?cursor={urlsafe_b64encode(forged).decode().rstrip('=')}")
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


def test_links_name_no_host(read: Ask) -> None:
    scanned("one", "two")
    assert "testserver" not in read("/anomalies?limit=1").content.decode()


# --- Acts ------------------------------------------------------------------------------------------------
def test_an_anomaly_is_acknowledged_for_a_day_and_heard_again(ask: Ask, read: Ask) -> None:
    scanned("one")
    path = f"/anomalies/{Anomaly.objects.get().pk}/acknowledge"
    row = ask(path, {"for": "1d", "reason": "Being requeued."}).json()
    assert (row["acknowledged"]["by"], row["acknowledged"]["reason"]) == ("ada", "Being requeued.")
    [check] = [check for check in scan_and_record(two_checks()).report.outcomes if check.count]
    assert (check.count, check.acknowledged) == (1, 1)
    assert ask(path, method="delete").json()["acknowledged"] is None
    assert "not acknowledged" in ask(path, method="delete").json()["detail"]
    newest, first = [entry.change_message for entry in LogEntry.objects.order_by("-pk")]
    assert first.startswith("Acknowledged until ")
    assert first.endswith("over REST: Being requeued.")
    assert newest == "Acknowledgement ended, over REST."


def test_what_is_resolved_cannot_be_acknowledged(ask: Ask) -> None:
    scanned("one")
    Anomaly.objects.update(state=State.RESOLVED, resolved_at=timezone.now())
    answer = ask(f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", {"for": "1d", "reason": "x"})
    assert (answer.status_code, LogEntry.objects.count()) == (409, 0)
    assert ask("/anomalies/999999/acknowledge", {"for": "1d", "reason": "x"}).status_code == 404


def test_an_acknowledgement_past_its_time_is_not_shown(read: Ask) -> None:
    scanned("one")
    past = timezone.now() - timedelta(minutes=1)
    Anomaly.objects.update(acknowledged_by="ada", acknowledged_until=past, acknowledged_reason="known")
    assert read("/anomalies").json()["anomalies"][0]["acknowledged"] is None
    assert told(read("/anomalies?silenced=0")) == ["one"]


def test_a_check_is_muted_for_a_week_and_unmuted(ask: Ask, read: Ask) -> None:
    scanned("one")
    until = (timezone.now() + timedelta(days=7)).isoformat()
    check = ask("/checks/stale_processing/mute", {"until": until, "reason": "Monday.", "sticky": True}).json()
    assert (check["mute"]["by"], check["mute"]["reason"], check["mute"]["sticky"]) == ("ada", "Monday.", True)
    assert read("/anomalies").json()["anomalies"][0]["muted_until"] == check["mute"]["until"]
    assert scan_and_record(two_checks()).report.status == "ok"
    assert ask("/checks/stale_processing/mute", method="delete").json()["mute"] is None
    assert scan_and_record(two_checks()).report.status == "degraded"
    assert ask("/checks/stale_processing/mute", method="delete").status_code == 404
    newest, first = [entry.change_message for entry in LogEntry.objects.order_by("-pk")]
    assert first.startswith("Muted until ")
    assert first.endswith("over REST: Monday.")
    assert newest == "Unmuted, over REST; it was muted for: Monday."


def test_of_two_who_mute_at_one_moment_one_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="bob", reason="known")
    # As if bob's had come between the end of the last one and ada's.
    monkeypatch.setattr("consistency.silence._end", lambda *_: False)
    answer = ask("/checks/stale_processing/mute", {"for": "7d", "reason": "x"})
    assert (answer.status_code, list(answer.json())) == (409, ["detail"])
    assert (Mute.objects.get().by, LogEntry.objects.count()) == ("bob", 0)


def test_a_check_that_does_not_exist_cannot_be_muted(ask: Ask) -> None:
    answer = ask("/checks/stale_procesing/mute", {"for": "7d", "reason": "x"})
    assert answer.status_code == 404
    assert "Did you mean 'stale_processing'?" in answer.json()["detail"]
    answer = ask("/checks/stale_procesing/mute", method="delete")
    assert (answer.status_code, "Did you mean 'stale_processing'?" in answer.json()["detail"]) == (404, True)


def test_a_parameter_beside_a_body_is_refused_and_changes_nothing(ask: Ask) -> None:
    scanned("one")
    body = {"for": "1d", "reason": "x"}
    for path in (f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", "/checks/stale_processing/mute", "/scans"):
        answer = ask(f"{path}?database=replica", {} if path == "/scans" else body)
        assert (answer.status_code, "takes no parameters" in answer.json()["detail"]) == (400, True)
    assert (Mute.objects.count(), LogEntry.objects.count(), Scan.objects.count()) == (0, 0, 1)


BODIES: list[tuple[Any, str]] = [
    ({}, "reason: This field is required."),
    ({"for": "1d", "reason": " "}, "reason: This field may not be blank."),
    ({"reason": "x"}, "Give either `for`"),
    ({"reason": "x", "for": "1d", "until": "2030-01-01T00:00:00Z"}, "Give either `for`"),
    ({"reason": "x", "for": "soon"}, "for: 'soon' is not a length of time. Expected: a number and s, m, h, d or w"),
    ({"reason": "x", "for": ["1d"]}, "for: Not a valid string."),
    ({"reason": "x", "until": "soon"}, "until: 'soon' is no instant with its zone, such as 2026-05-18T17:30:00Z"),
    ({"reason": "x", "until": "2030-01-01T00:00:00"}, "is no instant with its zone"),
    ({"reason": "x", "until": "9999-12-31T23:59:59-23:59"}, "is no instant with its zone"),
    ({"reason": "x", "until": 1795575000}, "is no instant with its zone"),
    ({"reason": "a\ud800b", "for": "1d"}, "reason: Surrogate characters are not allowed"),
    ({"reason": "x", "until": "2001-01-01T00:00:00Z"}, "the end must lie in the future"),
    ({"reason": "x", "until": "9999-12-31T23:59:59Z"}, "the end must lie in the future, at most"),
    ({"reason": "x", "for": "1d", "stiky": True}, "unknown key 'stiky'."),
    ({"reason": "x\0", "for": "1d"}, "reason: Null characters are not allowed."),
    (["x"], "The body must be a JSON object"),
    ([], "The body must be a JSON object"),
    ('"x"', "The body must be a JSON object"),
    ("0", "The body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), BODIES)
def test_a_bad_body_is_told_what_is_allowed_and_changes_nothing(ask: Ask, body: Any, words: str) -> None:
    scanned("one")
    for path in (f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", "/checks/stale_processing/mute"):
        answer = ask(path, body)
        assert answer.status_code == 400, answer.content
        assert words in answer.json()["detail"]
    assert (Mute.objects.count(), Anomaly.objects.get().acknowledged_until, LogEntry.objects.count()) == (0, None, 0)


def test_scan_now_records_and_says_where(ask: Ask, read: Ask) -> None:
    a_file("one", "nonsense")
    answer = ask("/scans", {"tags": ["vocabulary"]})
    scan = Scan.objects.get()
    assert (answer.status_code, answer["Location"]) == (201, f"{API}/scans/{scan.pk}")
    assert answer.json()["recorded"] == {"scan": scan.pk, "new": 1, "returned": 0, "resolved": 0}
    assert (scan.trigger, scan.actor) == ("api", "ada")
    assert read(answer["Location"].removeprefix(API)).status_code == 200
    assert LogEntry.objects.get().change_message == "Scanned, over REST."
    only = ask("/scans", {"checks": ["unknown_status"]}).json()
    assert [check["check"] for check in only["checks"]] == ["unknown_status"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"checks": ["stale"]}, "Did you mean 'stale_processing'?"),
        ({"tags": ["job"]}, "Did you mean 'jobs'?"),
        ({"database": "replica"}, "Allowed: default."),
        ({"check": ["stale_processing"]}, "unknown key 'check'. Did you mean 'checks'?"),
        ({"checks": "stale_processing"}, "Expected a list of items"),
        ([], "The body must be a JSON object"),
        ("false", "The body must be a JSON object"),
    ],
)
def test_a_bad_scan_is_told_what_is_allowed(ask: Ask, body: Any, words: str) -> None:
    answer = ask("/scans", body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert Scan.objects.count() == 0


def test_a_scan_while_another_records_is_409(ask: Ask) -> None:
    other = Memory("default", trigger="command", actor="cron", seconds=10)
    try:
        answer = ask("/scans", {})
    finally:
        other.close()
    assert (answer.status_code, list(answer.json()), answer["Retry-After"]) == (409, ["detail"], "10")
    assert ask("/scans", {}).status_code == 201


def test_a_scan_that_is_recorded_is_told_though_the_admins_log_takes_no_line(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.review_views.LOG_SECONDS", 0.2)
    with closing(connections.create_connection("default")) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE django_admin_log")
        answer = ask("/scans", {})
    assert (answer.status_code, answer.json()["recorded"]["scan"]) == (201, Scan.objects.get().pk)


@pytest.mark.parametrize(("pause", "seconds"), [(0, 30), (1, 41)])
def test_a_scan_may_wait_for_its_looks_and_its_recording(
    ask: Ask, settings: Any, monkeypatch: pytest.MonkeyPatch, pause: int, seconds: int
) -> None:
    settings.CONSISTENCY_CONFIRM, left = pause, []

    def seen(*checks: Any, **more: Any) -> Any:
        left.append(remaining() or 0.0)
        return scan_and_record(*checks, **more)

    monkeypatch.setattr("consistency.review_views.scan_and_record", seen)
    assert ask("/scans", {}).status_code == 201
    assert seconds - 5 < left[0] <= seconds


def test_a_scan_that_saw_less_than_the_last_recorded_one_is_409(ask: Ask) -> None:
    scanned()
    Scan.objects.update(snapshot_at=timezone.now() + timedelta(hours=1))
    answer = ask("/scans", {})
    assert (answer.status_code, list(answer.json()), Scan.objects.count()) == (409, ["detail"], 1)
    assert "later snapshot" in answer.json()["detail"]


def test_a_report_that_cannot_be_recorded_stands(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consistency.memory_sql.LAST_SNAPSHOT", "SELECT 1 / 0, %s")
    answer = ask("/scans", {})
    assert (answer.status_code, answer.json()["status"], answer.json()["recorded"]) == (200, "ok", None)
    assert answer.json()["problem"] == "PostgreSQL refused it"


# --- Who may ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/checks", "/scans", "/anomalies", "/scans/1", "/anomalies/1"])
def test_nobody_reads_without_credentials_and_nothing_is_kept(read: Ask, path: str) -> None:
    assert asker({})(path).status_code == 401
    assert read(path)["Cache-Control"] == "no-store"


def acts() -> list[tuple[str, str, Any, str]]:
    body = {"for": "1d", "reason": "x"}
    return [
        ("/anomalies/{}/acknowledge", "post", body, "acknowledge_anomaly"),
        ("/anomalies/{}/acknowledge", "delete", None, "acknowledge_anomaly"),
        ("/checks/stale_processing/mute", "post", body, "mute_check"),
        ("/checks/stale_processing/mute", "delete", None, "mute_check"),
        ("/scans", "post", {}, "scan_now"),
    ]


@pytest.mark.parametrize(("path", "method", "body", "permission"), acts())
def test_each_act_needs_its_own_permission(read: Ask, path: str, method: str, body: Any, permission: str) -> None:
    scanned("one")
    address, scans = path.format(Anomaly.objects.get().pk), Scan.objects.count()
    for other in (read, person("bob", *(act for act in ACTS if act != permission))):
        answer = other(address, body, method=method)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])
        assert f"consistency.{permission}" in answer.json()["detail"]
    assert asker({})(address, body, method=method).status_code == 401
    assert (Scan.objects.count(), Mute.objects.count(), LogEntry.objects.count()) == (scans, 0, 0)
    assert person("eve", permission)(address, body, method=method).status_code != 403


def test_an_outage_is_not_told_as_a_missing_permission(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one a token is believed, and it says nothing of permissions."""
    monkeypatch.setattr("config.access.authentication.JWTAuthentication.get_user", lambda self, token: TokenUser(token))
    for path, method, body, _ in acts():
        answer = ask(path.format(1), body, method=method)
        assert (answer.status_code, list(answer.json()), answer["Retry-After"]) == (503, ["detail"], "5")


def test_a_memory_that_is_read_only_says_so(ask: Ask) -> None:
    scanned("one")
    anomaly = Anomaly.objects.get().pk
    acknowledge([anomaly], until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        answers = [ask(path.format(anomaly), body, method=method) for path, method, body, _ in acts()[:-1]]
    finally:
        connection.close()
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all(answer.json()["detail"].startswith("PostgreSQL is read-only now") for answer in answers)
    assert LogEntry.objects.count() == 0


def test_without_our_tables_it_says_what_to_do(read: Ask) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consistency_anomaly RENAME TO elsewhere")
    try:
        answer = read("/anomalies")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO consistency_anomaly")
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert "manage.py migrate" in answer.json()["detail"]
