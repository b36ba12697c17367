"""Lists over REST and their filters."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from consistency.history.scanning import record_scan
from consistency.history.suppression import mark_reviewed, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute
from consistency.registry import CHECKS
from tests.consistency.api.data import Ask, asker, scanned, told, two_checks
from tests.consistency.data import a_file

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


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
    record_scan([*two_checks(), scratch], trigger="api")
    del CHECKS["scratch"]
    checks = read("/checks").json()["checks"]
    assert (checks[0]["check"], checks[0]["count"], checks[0]["new"], checks[0]["mute"]) == (
        "stale_processing", 1, 1, None
    )  # fmt: skip
    assert (checks[-1]["check"], checks[-1]["retired"], checks[-1]["title"], checks[-1]["count"]) == (
        "scratch", True, None, 1
    )  # fmt: skip
    assert told(read("/anomalies?check=scratch")) == ["one"]


def test_a_mute_is_shown_with_the_open_anomalies_of_its_database_only(read: Ask) -> None:
    scanned("one", "gone", "elsewhere")
    File.objects.filter(file_uuid="gone").delete()
    scanned()
    Anomaly.objects.filter(object_id="elsewhere").update(database="replica")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    rows = read("/anomalies?state=all").json()["anomalies"]
    assert {row["object_id"]: bool(row["muted_until"]) for row in rows} == {
        "one": True, "gone": False, "elsewhere": False
    }  # fmt: skip


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
        ("?state=acknowledged", ["ack"]),
        ("?state=muted", ["mute"]),
        ("?state=muted&silenced=1", ["mute"]),
        ("?state=muted&silenced=0", []),
        ("?state=acknowledged&silenced=0", []),
        ("?scan={first}", ["old", "ack"]),
        ("?scan={first}&state=all", ["old", "ack", "gone"]),
        ("?scan={last}", ["new", "mute"]),
        ("?scan=0", []),
        ("?assignee=ada", ["ack"]),
        ("?database=default", ["old", "mute", "new", "ack"]),
        ("?silenced=1", ["mute", "ack"]),
        ("?silenced=0", ["old", "new"]),
        ("?silenced=0&state=new", ["new"]),
        ("?since=1h", ["mute", "new", "ack"]),
        ("?since=2026-01-01T00:00:00%2B01:00", ["old", "mute", "new", "ack"]),
        ("?since=2999-01-01T00:00:00Z", []),
        ("?resolved_since=1h", ["gone"]),
        ("?resolved_since=1h&state=all", ["gone"]),
        ("?resolved_since=1h&state=open", []),
        ("?resolved_since=2999-01-01T00:00:00Z", []),
        ("?review=needed", ["new"]),
        ("?review=needed&state=all", ["new"]),
        ("?uuid=ne", ["new"]),
        ("?name=mut", ["mute"]),
        ("?name=MUT", []),
        ("?uuid=%25", []),
    ],
)
def test_filters_choose(read: Ask, query: str, found: list[str]) -> None:
    scanned("old", "ack", "gone")
    Anomaly.objects.filter(object_id="old").update(appeared_at=timezone.now() - timedelta(days=2))
    Anomaly.objects.filter(object_id="ack").update(
        assignee="ada", acknowledged_by="ada", acknowledged_at=timezone.now(),
        acknowledged_until=timezone.now() + timedelta(hours=1), acknowledged_reason="known",
    )  # fmt: skip
    mark_reviewed([Anomaly.objects.get(object_id="old").pk], by="ada")
    File.objects.filter(file_uuid="gone").delete()
    a_file("mute", "nonsense")
    scanned("new")
    mute("unknown_status", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    last, first = (scan["id"] for scan in read("/scans").json()["scans"])
    answer = read(f"/anomalies{query.format(first=first, last=last)}")
    assert answer.status_code == 200, answer.content
    assert sorted(told(answer)) == sorted(found)
    if "state=all" in query:
        needed = {row["object_id"] for row in answer.json()["anomalies"] if row["needs_review"]}
        assert needed == {"new"} & set(found)


def test_what_came_back_is_newer_than_what_was_first_seen_after_it(read: Ask) -> None:
    scanned("back")
    File.objects.filter(file_uuid="back").update(status="completed")
    scanned("later")
    File.objects.filter(file_uuid="back").update(status="processing")
    scanned()
    assert told(read("/anomalies")) == ["back", "later"]
    newest, _, first = read("/scans").json()["scans"]
    assert [told(read(f"/anomalies?scan={scan['id']}")) for scan in (newest, first)] == [["back"], []]
    row = read("/anomalies").json()["anomalies"][0]
    assert (row["first_seen"], row["appeared_at"]) == (first["snapshot_at"], newest["snapshot_at"])


def test_a_mute_that_a_scan_exceeds_suppresses_nothing(read: Ask) -> None:
    scanned("one")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    assert told(read("/anomalies?silenced=1")) == ["one"]
    scanned("two")
    assert told(read("/anomalies?silenced=1")) == []
    assert read("/checks").json()["checks"][0]["mute"] is None
    assert Mute.objects.get().ended_because == "exceeded"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/anomalies?state=opne",
            "Did you mean 'open'? Allowed: open, new, ongoing, returned, resolved, acknowledged, muted, retired, all.",
        ),
        ("/anomalies?severity=bad", "Allowed: info, warn, error."),
        ("/anomalies?check=stale_procesing", "Did you mean 'stale_processing'?"),
        ("/anomalies?check=", "unknown check ''."),
        ("/anomalies?check=%00", "NUL"),
        ("/anomalies?check=50%25s", "unknown check '50%s'."),
        ("/anomalies?since=50%25", "since: '50%' is no time."),
        ("/anomalies?silenced=yes", "Allowed: 0, 1."),
        ("/anomalies?review=done", "unknown review 'done'. Allowed: needed."),
        ("/anomalies?resolved_since=yesterday", "resolved_since: 'yesterday' is no time."),
        ("/anomalies?database=replica", "Allowed: default."),
        (
            "/anomalies?since=yesterday",
            "a duration such as 24h or 7d, or an instant such as 2026-05-18T17:30:00Z",
        ),
        ("/anomalies?since=2026-13-01T00:00:00Z", "Expected: a duration"),
        ("/anomalies?since=2026-01-01T00:00:00", "Expected: a duration"),
        ("/anomalies?since=0001-01-01T00:00:00%2B23:59", "Expected: a duration"),
        ("/anomalies?scan=last", "scan: 'last' is not a whole number"),
        ("/anomalies?scan=-1", "scan: '-1' is not a whole number"),
        ("/anomalies?scan=9999999999999999999", "of at most 18 digits"),
        ("/anomalies?scan=1&scan=2", "scan: the parameter may be given once."),
        ("/anomalies?state=", "unknown state ''. Allowed: open, new,"),
        ("/anomalies?database=", "unknown database ''. Allowed: default."),
        ("/scans?database=", "unknown database ''. Allowed: default."),
        ("/checks?database=", "unknown database ''. Allowed: default."),
        ("/scans/1?x=1", "'x' is not known here: this address takes no parameters."),
        ("/anomalies/1?database=default", "'database' is not known here"),
        ("/anomalies?uuid=a&uuid=b", "uuid: the parameter may be given once."),
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


@pytest.mark.parametrize("path", ["/checks", "/scans", "/anomalies", "/scans/1", "/anomalies/1"])
def test_nobody_reads_without_credentials_and_nothing_is_kept(read: Ask, path: str) -> None:
    assert asker({})(path).status_code == 401
    assert read(path)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/checks", "GET, HEAD"),
        ("/scans?database=default", "GET, HEAD, POST"),
        ("/anomalies/1/acknowledge", "POST, DELETE"),
    ],
)
def test_what_is_no_act_is_405_with_those_that_are(read: Ask, path: str, allowed: str) -> None:
    for method in ("put", "patch", "options"):
        answer = read(path, {}, method=method)
        assert (answer.status_code, list(answer.json()), answer["Allow"]) == (405, ["detail"], allowed)


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


def test_each_database_has_its_scans_anomalies_and_mutes(ask: Ask, read: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "replica", connections.settings["default"])
    a_file("one", "processing")
    mute_path, body = "/checks/stale_processing/mute", {"database": "replica", "for": "1d", "reason": "x"}
    with closing(connections["replica"]):
        assert ask("/scans", {"database": "replica", "checks": ["stale_processing"]}).status_code == 201
        assert ask(mute_path, body).json()["muted"] == 1
        here, there = (read(f"/checks?database={name}").json()["checks"][0] for name in ("default", "replica"))
        assert (here["scan"], here["mute"], there["count"], there["muted"]) == (None, None, 1, 1)
        assert told(read("/anomalies?database=default")) == []
        assert told(read("/anomalies?database=replica")) == ["one"]
        assert [ask(f"{mute_path}{query}", method="delete").status_code for query in ("", "?database=replica")] == [
            404, 200
        ]  # fmt: skip
    del connections["replica"]
