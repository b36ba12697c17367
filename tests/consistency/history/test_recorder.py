"""Recording: what a scan makes of what was remembered, whole or not at all."""

import base64
import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection, connections
from django.db.models import TextField, Value
from django.utils import timezone

from consistency.history import sql
from consistency.history.lists import beginning
from consistency.history.recorder import recording, scan_and_record
from consistency.history.retention import prune
from consistency.history.silence import acknowledge
from consistency.history.spool import Spool
from consistency.history.subject import of_same_file
from consistency.history.writing import AlreadyRunningError, Memory, OlderSnapshotError
from consistency.models import File
from consistency.models.history import Anomaly, Scan, ScanCheck
from consistency.registry import CHECKS, CheckError, Finding, Severity
from consistency.scan.selection import default
from consistency.scan.sight import Sight
from consistency.scan.transaction import begin
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import REST, STALE, anomaly, in_days, moody, news, outcome, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_it_remembers_what_is_new_goes_on_is_resolved_and_returns() -> None:
    a_file("a", "processing")
    assert news() == (1, 0, 0, 0)
    first = anomaly("a")
    assert (first.state, first.times_seen, first.returned_count, first.resolved_at) == ("new", 1, 0, None)
    assert (first.file_uuid, first.file_name, first.status, first.severity) == ("a", "a.mp4", "processing", 2)
    assert news() == (0, 0, 0, 1)
    File.objects.update(status="completed")
    assert news() == (0, 0, 1, 0)
    assert (anomaly("a").state, anomaly("a").times_seen) == ("resolved", 2)
    assert anomaly("a").resolved_at is not None
    assert news() == (0, 0, 0, 0)
    File.objects.update(status="processing")
    assert news() == (0, 1, 0, 0)
    again = anomaly("a")
    assert (again.state, again.returned_count, again.resolved_at) == ("returned", 1, None)
    assert (again.first_seen, again.times_seen) == (first.first_seen, 3)
    assert again.last_seen > first.last_seen
    assert news() == (0, 0, 0, 1)
    assert anomaly("a").state == "ongoing"


def test_news_has_the_time_and_the_number_of_its_scan_until_it_is_news_again() -> None:
    def appeared() -> tuple[Any, int]:
        return anomaly("a").appeared_at, anomaly("a").appeared_scan

    a_file("a", "processing")
    first = recorded()
    assert first.scan
    recorded()
    assert appeared() == (first.report.checked_at, first.scan.id) == (anomaly("a").first_seen, first.scan.id)
    File.objects.update(status="completed")
    recorded()
    assert appeared() == (first.report.checked_at, first.scan.id)
    File.objects.update(status="processing")
    back = recorded()
    assert back.scan
    recorded()
    assert appeared() == (back.report.checked_at, back.scan.id)
    assert anomaly("a").first_seen == first.report.checked_at


def test_it_remembers_passes_and_what_could_not_run(define: Define) -> None:
    def broken() -> Any:
        raise CheckError("no luck")

    define("broken", broken)
    done = recorded(STALE, "broken")
    scan = Scan.objects.get()
    assert done.scan
    assert done.scan.as_dict() == {"scan": scan.pk, "new": 0, "returned": 0, "resolved": 0, "mutes_ended": []}
    assert (scan.trigger, scan.actor, scan.database, scan.complete) == ("command", "tester", "default", False)
    assert scan.snapshot_at == done.report.checked_at
    told = ScanCheck.objects.values_list("check_name", "outcome", "count", "error")
    assert list(told) == [(STALE, "clean", 0, ""), ("broken", "could_not_run", None, "no luck")]


def test_what_is_said_of_an_anomaly_is_what_the_last_scan_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "duplicate_active_jobs"
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded(name)
    File.objects.update(file_name="renamed.mp4", status="completed")
    monkeypatch.setitem(CHECKS, name, replace(CHECKS[name], severity=Severity.ERROR))
    recorded(name)
    found = anomaly("1", name)
    assert (found.file_name, found.status, found.severity) == ("renamed.mp4", "completed", Severity.ERROR)


def test_a_scan_that_asked_no_database_has_no_time_of_one(define: Define) -> None:
    def outside(using: str) -> Any:
        yield Finding(object_type="thing", object_id="1", detail="broken")

    define("outside", outside, detail=None)
    recorded("outside")
    assert Scan.objects.get().snapshot_at is None
    recorded("outside", STALE)
    assert Scan.objects.latest("pk").snapshot_at is not None


def test_a_check_that_is_asked_again_in_another_snapshot_is_kept_as_that_one_saw_it() -> None:
    spool, check = Spool(Sight()), CHECKS[STALE]
    for name in ("before", "after"):
        spool.start(check)
        spool.sift(check, [{"file_uuid": name, "detail": "job_id is null"}])
    kept = b"".join(spool.blocks(check))
    spool.close()
    assert (kept.count(b"\n"), b"before" in kept, b"after" in kept) == (1, False, True)


def test_all_findings_are_recorded_whatever_the_limit() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'n', 'processing' FROM generate_series(1, 5000) n"
        )
    done = recorded(limit=3)
    assert (outcome(done).count, len(outcome(done).rows), outcome(done).truncated) == (5000, 3, True)
    assert [row["file_uuid"] for row in outcome(done).rows] == ["1", "10", "100"]
    assert Anomaly.objects.count() == 5000


def test_only_a_check_that_completed_resolves_anything(define: Define) -> None:
    mood = moody(define)
    a_file("a", "processing")
    assert news("moody", STALE) == (2, 0, 0, 0)
    File.objects.all().delete()
    mood.bad = True
    assert news("moody", STALE) == (0, 0, 1, 0)
    assert anomaly("a", "moody").state == "new"
    mood.bad = False
    assert news("moody") == (0, 0, 1, 0)


def test_a_check_that_was_not_asked_resolves_nothing() -> None:
    a_file("a", "processing")
    recorded()
    File.objects.all().delete()
    assert news(REST) == (0, 0, 0, 0)
    assert anomaly("a").state == "new"


def test_two_databases_are_remembered_apart() -> None:
    a_file("a", "processing")
    recorded()
    Anomaly.objects.update(database="archive")
    assert news() == (1, 0, 0, 0)
    File.objects.all().delete()
    assert news() == (0, 0, 1, 0)
    assert Anomaly.objects.get(database="archive").state == "new"


def test_values_that_copy_would_mistake_arrive_as_they_are(define: Define) -> None:
    hostile = "a\\N\t\n\r\\. 'x' \u202e {1,2}\x0b"

    def outside(using: str) -> Any:
        yield Finding(object_type="thing", object_id=hostile, detail=hostile + "\0")

    define("outside", outside, detail=None)
    File.objects.create(file_uuid=hostile, file_name=hostile, status="processing")
    assert news("outside", STALE) == (2, 0, 0, 0)
    stale, other = anomaly(hostile), anomaly(hostile, "outside")
    assert (stale.file_uuid, stale.file_name, other.detail) == (hostile, hostile, hostile + "\\0")
    assert (other.file_uuid, other.object_type) == (None, "thing")


def test_however_empty_the_memory_was_no_row_is_held_against_every_other() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE consistency_anomaly")
    now = timezone.now()
    about = {"database": "default", "at": now, "now": now, "scan": 1, "checks": [STALE], "muted": []}
    memory = Memory("default", trigger="command", actor="tester", seconds=5)
    with closing(memory), memory.connection.cursor() as cursor:
        cursor.execute(sql.TABLE.format(sql.FINDINGS))
        cursor.execute(sql.TABLE.format(sql.UNSURE))
        plans = {}
        for statement in (sql.SEEN, sql.RESOLVED_FOR_SURE):
            cursor.execute(f"EXPLAIN {statement}", about)
            plans[statement] = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("SHOW enable_nestloop")
        assert cursor.fetchone() == ("off",), "whatever other versions of the planner expect of an empty table"
    assert "Join" not in plans[sql.SEEN]
    assert "Anti Join" in plans[sql.RESOLVED_FOR_SURE]
    assert not any("Nested Loop" in plan for plan in plans.values())


def updated() -> tuple[int, int]:
    """How many rows were updated, and how many of them touched no index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'consistency_anomaly'")
        row: tuple[int, int] = cursor.fetchone()
    return row


def test_what_just_goes_on_changes_nothing_that_an_index_holds() -> None:
    start = updated()[0]
    a_file("a", "processing")
    assert [news(), news()] == [(1, 0, 0, 0), (0, 0, 0, 1)]
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="why", act=1)
    Anomaly.objects.update(assignee="ann")
    assert eventually(lambda: updated()[0] == start + 3)
    before, cheap = updated()
    assert news() == (0, 0, 0, 1)
    assert eventually(lambda: updated()[0] == before + 1)
    assert updated() == (before + 1, cheap + 1)


def eventually(so: Callable[[], bool]) -> bool:
    """Within some seconds: a backend tells what it did a moment later."""
    until = time.monotonic() + 10
    while not (done := so()) and time.monotonic() < until:
        time.sleep(0.05)
    return done


def incompressible(length: int) -> str:
    return base64.b85encode(hashlib.shake_256(b"seed").digest(length)).decode()[:length]


def test_a_name_that_no_index_can_hold_is_recorded_and_found_by_its_beginning(define: Define) -> None:
    # An entry of an index has 2,704 bytes at most, compressed.
    name, uuid = incompressible(5000), incompressible(2500)
    File.objects.create(file_uuid=uuid, file_name=name, status="registered")
    define("every", lambda: File.objects.all(), detail=Value("there"))
    define("any", lambda: File.objects.all(), detail=Value("there"))
    assert news("every", "any") == (2, 0, 0, 0)
    assert news("every", "any") == (0, 0, 0, 2)
    found = anomaly(uuid, "every")
    assert (found.file_name, of_same_file(found)) == (name, [anomaly(uuid, "any")])
    for words, number in ((name[:50], 2), (name, 2), (name[:150] + "...", 0), (name[:99] + " ", 0)):
        assert Anomaly.objects.filter(beginning(words, "file_name")).count() == number
    assert Anomaly.objects.filter(beginning(uuid, "file_uuid", "object_id")).count() == 2


def test_an_identifier_that_no_index_can_hold_is_told_of(define: Define, caplog: pytest.LogCaptureFixture) -> None:
    long = incompressible(5000)

    def outside(using: str) -> Any:
        yield Finding(object_type="thing", object_id=long, detail="there")

    define("outside", outside, detail=None)
    done = scan_and_record([CHECKS["outside"]], actor="tester")
    assert done.problem == "an identifier is longer than PostgreSQL can index (some 2,700 bytes)"
    assert not caplog.records
    assert not Scan.objects.exists()


def test_an_object_named_twice_is_one_anomaly(define: Define) -> None:
    def twice(using: str) -> Any:
        yield Finding(object_type="thing", object_id="1", detail="b")
        yield Finding(object_type="thing", object_id="1", detail="a")

    define("twice", twice, detail=None)
    assert news("twice") == (1, 0, 0, 0)
    assert news("twice") == (0, 0, 0, 1)
    assert anomaly("1", "twice").detail == "a"


def test_a_detail_that_is_null_is_an_empty_one(define: Define) -> None:
    define("speechless", lambda: File.objects.all(), detail=Value(None, output_field=TextField()))
    a_file("a", "processing")
    assert outcome(recorded("speechless", STALE), "speechless").rows[0]["detail"] == ""
    assert (anomaly("a", "speechless").detail, anomaly("a").detail) == ("", "job_id is null")


def test_jobs_are_remembered_without_a_file() -> None:
    a_job(7, "running", of="gone")
    assert news("job_without_file") == (1, 0, 0, 0)
    found = anomaly("7", "job_without_file")
    assert (found.object_type, found.file_uuid) == ("job", None)


# --- One at a time ---------------------------------------------------------------------------------------
def test_a_second_scan_of_the_same_database_is_refused_before_it_scans() -> None:
    with recording("default", trigger="command", actor="", seconds=10):
        with pytest.raises(AlreadyRunningError, match="another scan of database 'default' is under way"):
            recorded()
        with recording("archive", trigger="command", actor="", seconds=10):
            pass
    assert Scan.objects.count() == 0
    assert news() == (0, 0, 0, 0)


def test_a_snapshot_older_than_the_last_recorded_one_is_refused() -> None:
    a_file("a", "processing")
    recorded()
    Scan.objects.update(snapshot_at=in_days(1))
    File.objects.all().delete()
    with pytest.raises(AlreadyRunningError, match="another scan of database 'default' with a later snapshot"):
        recorded()
    assert (Scan.objects.count(), anomaly("a").state) == (1, "new")
    Scan.objects.update(snapshot_at=in_days(-1))
    assert news() == (0, 0, 1, 0)


def at_instant(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """Let snapshots be of this instant."""

    def at_that_instant(*arguments: Any) -> Any:
        begin(*arguments)
        return instant

    monkeypatch.setattr("consistency.scan.scanner.begin", at_that_instant)


def test_a_snapshot_of_the_same_instant_is_not_older(monkeypatch: pytest.MonkeyPatch) -> None:
    instant = recorded().report.checked_at
    at_instant(monkeypatch, instant)
    recorded()
    assert list(Scan.objects.values_list("snapshot_at", flat=True)) == [instant, instant]


def test_one_that_is_older_by_no_more_than_a_clock_can_tell_is(monkeypatch: pytest.MonkeyPatch) -> None:
    at_instant(monkeypatch, recorded().report.checked_at - timedelta(microseconds=1))
    with pytest.raises(OlderSnapshotError):
        recorded()
    assert Scan.objects.count() == 1


def test_what_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("a", "processing")
    monkeypatch.setattr("consistency.history.sql.MUTES_LOWER", "SELECT 1 / 0")
    done = scan_and_record([CHECKS[STALE]])
    assert (done.scan, done.problem) == (None, "PostgreSQL refused it")
    assert outcome(done).count == 1
    assert (Scan.objects.count(), Anomaly.objects.count()) == (0, 0)


def test_a_connection_that_is_cut_during_the_scan_costs_the_recording_and_not_the_report() -> None:
    def cut(check: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")

    a_file("a", "processing")
    done = scan_and_record([CHECKS[STALE]], progress=cut)
    assert (done.scan, done.problem) == (None, "the connection to database 'default' was lost. Try again")
    assert (outcome(done).count, Scan.objects.count(), Anomaly.objects.count()) == (1, 0, 0)


# --- Retention -------------------------------------------------------------------------------------------
def test_what_is_past_its_days_is_forgotten(settings: Any) -> None:
    whole = [check.name for check in default()]
    a_file("a", "processing", job=1)
    a_file("b", "processing", job=1)
    recorded(*whole)
    File.objects.filter(pk="a").delete()
    recorded(*whole)
    old = timezone.now() - timedelta(days=settings.CONSISTENCY_KEEP_RESOLVED + 1)
    Anomaly.objects.filter(object_id="a").update(resolved_at=old)
    Scan.objects.update(recorded_at=old)
    recorded(*whole)
    assert (Scan.objects.count(), ScanCheck.objects.count()) == (1, 4)
    assert [found.object_id for found in Anomaly.objects.all()] == ["b"]


def four_scans_and_three_that_they_resolved() -> None:
    """Long ago; the first scan is kept, since none was complete."""
    for name in "abc":
        a_file(name, "processing")
    for _ in range(3):
        recorded()
    File.objects.all().delete()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    Scan.objects.update(recorded_at=in_days(-1000))


def pruned(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Forget one of each, in so many rounds."""
    budget = mock.Mock(left=mock.Mock(side_effect=[*[1.0] * rounds, 0.0]))
    monkeypatch.setattr("consistency.history.retention.BATCH", 1)
    monkeypatch.setattr("consistency.history.retention.Budget", lambda seconds: budget)
    prune()


@pytest.mark.parametrize(("rounds", "left"), [(1, (3, 2)), (5, (1, 0))])
def test_it_is_forgotten_in_batches_of_both_as_long_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch, rounds: int, left: tuple[int, int]
) -> None:
    four_scans_and_three_that_they_resolved()
    pruned(monkeypatch, rounds)
    assert (Scan.objects.count(), Anomaly.objects.count()) == left


def test_what_is_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    four_scans_and_three_that_they_resolved()
    kept, *others = Scan.objects.order_by("pk").values_list("pk", flat=True)
    for pk, name, days in zip(others, "abc", (1000, 1002, 1001), strict=True):
        Scan.objects.filter(pk=pk).update(recorded_at=in_days(-days))
        Anomaly.objects.filter(object_id=name).update(resolved_at=in_days(-days))
    for left in ({0, 2}, {0}, set[int]()):
        pruned(monkeypatch, 1)
        assert set(Scan.objects.values_list("pk", flat=True)) == {kept} | {others[number] for number in left}
        assert set(Anomaly.objects.values_list("object_id", flat=True)) == {"abc"[number] for number in left}


def test_of_each_database_its_last_complete_scan_is_kept_or_else_its_first_one() -> None:
    whole = [check.name for check in default()]
    for database, complete in [("default", True), ("default", True), ("replica", False), ("replica", False)]:
        recorded(*whole)
        Scan.objects.filter(pk=Scan.objects.latest("pk").pk).update(database=database, complete=complete)
    recorded(STALE)
    Scan.objects.update(recorded_at=in_days(-1000))
    _, complete_one, first_of_replica, *_ = Scan.objects.order_by("pk").values_list("pk", flat=True)
    prune()
    assert set(Scan.objects.values_list("pk", flat=True)) == {complete_one, first_of_replica}


def test_what_somebody_holds_is_forgotten_later_and_waited_for_by_nobody(settings: Any) -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    File.objects.all().delete()
    recorded()
    Anomaly.objects.update(resolved_at=timezone.now() - timedelta(days=settings.CONSISTENCY_KEEP_RESOLVED + 1))
    other: Any = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as holding, connection.cursor() as cursor:
            holding.execute("SELECT FROM consistency_anomaly WHERE object_id = 'a' FOR UPDATE")
            cursor.execute("SET lock_timeout = '3s'")
            prune()
            cursor.execute("RESET lock_timeout")
    finally:
        other.close()
    assert [found.object_id for found in Anomaly.objects.all()] == ["a"]
    prune()
    assert not Anomaly.objects.exists()


def test_what_is_within_its_days_stays(settings: Any) -> None:
    a_file("a", "processing")
    recorded()
    File.objects.all().delete()
    recorded()
    recorded()
    assert (Scan.objects.count(), Anomaly.objects.count()) == (3, 1)
