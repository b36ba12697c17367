"""A scan: one snapshot, three outcomes, and no check that can stop another."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import Func, Value

from consistency.history.scanning import read_scan
from consistency.models import File, MonitorJob
from consistency.registry import CHECKS, Finding
from consistency.scan.selection import default_checks, select_checks
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.outcomes import HEALTHY, among_others, counts_and_errors, outcomes

pytestmark = pytest.mark.usefixtures("transactional_db")


# --- What it says ----------------------------------------------------------------------------------------
def test_an_empty_database_is_ok_and_every_default_check_is_listed_with_zero() -> None:
    report = read_scan(default_checks())
    assert report.status == "ok"
    assert report.complete
    assert report.affected_files == 0
    assert counts_and_errors(report) == dict.fromkeys([check.name for check in CHECKS.values() if check.default], 0)


def test_info_alone_is_ok_and_a_warning_degrades() -> None:
    a_file("rest", "unregistered")
    assert read_scan(default_checks()).status == "ok"
    a_file("stale", "processing")
    assert read_scan(default_checks()).status == "degraded"


def test_counts_are_exact_rows_are_limited_and_ordered_by_primary_key() -> None:
    for number in range(7):
        a_file(f"file {6 - number}", "processing")
    [stale] = read_scan([CHECKS["stale_processing"]], limit=3).outcomes
    assert (stale.count, stale.truncated) == (7, True)
    assert [row["file_uuid"] for row in stale.rows] == ["file 0", "file 1", "file 2"]
    [stale] = read_scan([CHECKS["stale_processing"]], limit=7).outcomes
    assert (stale.count, stale.truncated, len(stale.rows)) == (7, False, 7)
    [stale] = read_scan([CHECKS["stale_processing"]], limit=0).outcomes
    assert (stale.count, stale.truncated, stale.rows) == (7, True, ())


def test_a_limit_holds_over_all_models_of_a_check() -> None:
    for number in range(3):
        a_file(f"file {number}", "ready")
        a_job(number, "ready", of=f"file {number}")
    [outcome] = read_scan([CHECKS["unknown_status"]], limit=4).outcomes
    assert (outcome.count, outcome.truncated) == (6, True)
    assert [row["object_type"] for row in outcome.rows] == ["file", "file", "file", "job"]


def test_a_file_that_breaks_several_checks_is_affected_once() -> None:
    a_job(1, "completed", of="done")
    a_file("stale", "processing")
    a_file("done", "processing", job=1)
    a_file("rest", "unregistered")
    report = read_scan(default_checks())
    assert counts_and_errors(report) == {
        "stale_processing": 1,
        "orphaned_processing": 2,
        "processing_job_done": 1,
        "unregistered_with_uuid": 1,
    }
    assert report.affected_files == 3


def test_jobs_affect_the_file_they_belong_to_if_there_is_one() -> None:
    a_file("a", "registered")
    for number in range(2):
        a_job(number, "running", of="a")
        a_job(number + 2, "running", of="gone")
    assert read_scan(select_checks(with_tags=["jobs"])).affected_files == 1


def test_the_time_is_that_of_the_snapshot() -> None:
    before = datetime.now(UTC)
    checked_at = read_scan(default_checks()).checked_at
    assert before - timedelta(seconds=2) < checked_at < datetime.now(UTC) + timedelta(seconds=2)
    assert checked_at.utcoffset() == timedelta(0)


def test_progress_hears_of_each_check_before_it_runs() -> None:
    heard: list[str] = []
    read_scan(default_checks(), progress=lambda check: heard.append(check.name))
    assert heard == [check.name for check in default_checks()]


def test_all_checks_see_the_same_instant(define: Define) -> None:
    def meanwhile() -> Any:
        with closing(connections.create_connection("default")) as other:
            other.inc_thread_sharing()
            with other.cursor() as cursor:
                cursor.execute("INSERT INTO files (file_uuid, file_name, status) VALUES ('new', 'new', 'unregistered')")
        return File.objects.none()

    report = read_scan(among_others(define("meanwhile", meanwhile)))
    assert counts_and_errors(report) == {"stale_processing": 0, "meanwhile": 0, "unregistered_with_uuid": 0}
    assert File.objects.count() == 1


# --- Time ------------------------------------------------------------------------------------------------
def test_a_slow_check_times_out_and_the_others_report(one_of_each: None, define: Define) -> None:
    def slow() -> Any:
        return File.objects.alias(slept=Func(Value(30), function="pg_sleep")).filter(slept__isnull=False)

    started = monotonic()
    report = read_scan(among_others(define("slow", slow)), timeout=2.0)
    assert monotonic() - started < 10
    found = outcomes(report)
    assert found["slow"].error
    assert found["slow"].error.startswith("timed out after ")
    assert {name: found[name].count for name in HEALTHY} == HEALTHY
    assert report.unreachable is None


def test_one_slow_check_leaves_half_of_the_time_to_the_others(define: Define) -> None:
    def slow() -> Any:
        return File.objects.alias(slept=Func(Value(30), function="pg_sleep")).filter(slept__isnull=False)

    a_file("any", "registered")
    slow_ones = [define(f"slow_{number}", slow) for number in range(3)]
    spent = [outcome.duration_ms for outcome in read_scan(slow_ones, timeout=2.0).outcomes]
    assert sum(spent) < 2500
    assert spent[0] > spent[1] > 100
    assert spent[2] > 100


def test_a_locked_table_is_told_and_waited_for_no_longer_than_a_second(one_of_each: None, define: Define) -> None:
    with closing(connections.create_connection("default")) as other:
        other.inc_thread_sharing()
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE monitor_jobs IN ACCESS EXCLUSIVE MODE")
        report = counts_and_errors(read_scan(default_checks(), timeout=20.0))
    locked = "another session has locked a table"
    assert report == HEALTHY | {"orphaned_processing": locked, "processing_job_done": locked}


def test_a_check_that_python_keeps_busy_does_not_make_the_scan_raise(one_of_each: None, define: Define) -> None:
    def busy() -> Any:
        sleep(1.5)
        return File.objects.all()

    report = read_scan(among_others(define("busy", busy)), timeout=1.0)
    assert outcomes(report)["stale_processing"].count == 1
    assert [outcome.count for outcome in report.outcomes[1:]] == [None, None]


# --- PostgreSQL in trouble -------------------------------------------------------------------------------
def test_without_postgresql_every_check_says_so_and_nothing_raises(settings: Any) -> None:
    connection.close()
    home = connection.settings_dict["PORT"]
    connection.settings_dict["PORT"] = 1
    try:
        report = read_scan(select_checks(with_tags=["files", "jobs"]))
    finally:
        connection.close()
        connection.settings_dict["PORT"] = home
    assert {outcome.count for outcome in report.outcomes} == {None}
    assert {outcome.error for outcome in report.outcomes} == {"PostgreSQL is not reachable"}
    assert (report.status, report.complete, report.affected_files) == ("degraded", False, None)
    assert datetime.now(UTC) - report.checked_at < timedelta(minutes=1)


# --- Outside PostgreSQL ----------------------------------------------------------------------------------
def test_what_lies_outside_is_looked_at_twice_and_only_what_stays_is_a_finding(define: Define) -> None:
    looks = iter([("brief", "lasting"), ("lasting", "new")])

    def flickers(using: str) -> Iterator[Finding]:
        """Some things flicker"""
        for name in next(looks):
            yield Finding(object_type="thing", object_id=name, detail="it is broken")

    [outcome] = read_scan([define("flickers", flickers, detail=None)]).outcomes
    assert (outcome.count, outcome.error) == (1, None)
    assert outcome.rows == [{"object_type": "thing", "object_id": "lasting", "detail": "it is broken"}]


def test_what_lies_outside_is_asked_after_the_snapshot_is_closed_and_cannot_write_either(define: Define) -> None:
    isolation: list[str] = []

    def looks(using: str) -> Iterator[Finding]:
        """Looks around"""
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation')")
            isolation.extend(cursor.fetchone())
        yield from ()

    def writes(using: str) -> Iterator[Finding]:
        """Tries to write"""
        MonitorJob.objects.create(file_uuid="written", status="running")
        yield from ()

    checks = [define("looks", looks, detail=None), define("writes", writes, detail=None), CHECKS["stale_processing"]]
    assert counts_and_errors(read_scan(checks)) == {
        "looks": 0,
        "writes": "it tried to do more than read",
        "stale_processing": 0,
    }
    assert isolation == ["read committed"]
    assert not MonitorJob.objects.exists()


def test_an_endless_search_outside_ends_with_the_time(define: Define) -> None:
    def endless(using: str) -> Iterator[Finding]:
        """Never ends"""
        while True:
            sleep(0.01)
            yield Finding(object_type="thing", object_id="x", detail="again")

    [outcome] = read_scan([define("endless", endless, detail=None)], timeout=0.5).outcomes
    assert outcome.error
    assert outcome.error.startswith("timed out after")


def test_names_that_are_no_text_are_written_as_escapes(define: Define) -> None:
    def odd(using: str) -> Iterator[Finding]:
        """Odd names"""
        yield Finding(object_type="thing", object_id="a\udcff", detail="odd")

    [outcome] = read_scan([define("odd", odd, detail=None)]).outcomes
    assert [row["object_id"] for row in outcome.rows] == ["a\\udcff"]
