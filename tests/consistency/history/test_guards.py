"""A scan compares tables and shares of missing objects with the last recorded scan before a result counts."""

import json
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest
from django.db import connection

from consistency.history.current_state import current_state
from consistency.history.scanning import read_scan
from consistency.models import File
from consistency.models.history import OPEN, Anomaly, Scan
from consistency.registry import CHECKS
from consistency.scan.guards import TABLES
from consistency.scan.report import Outcome
from consistency.scan.selection import default_checks
from tests.consistency.api.data import report_reader
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import STALE, anomaly, changes, outcome, recorded
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")

SHADOWED = "files is now shadow.files; the last scan read public.files (--accept-tables)"
EMPTIED = "files is empty; the last scan read rows of it (--accept-tables)"


def errors(**options: Any) -> set[str | None]:
    """Return the errors of a scan of the default checks that is not recorded."""
    return {outcome.error for outcome in read_scan(default_checks(), **options).outcomes}


# --- Tables ----------------------------------------------------------------------------------------------
def test_checks_of_a_table_that_shadows_the_last_one_could_not_run(shadow: AbstractContextManager[None]) -> None:
    a_file("a", "processing")
    recorded()
    with shadow:
        result = recorded()
        assert outcome(result).error == SHADOWED
        assert result.report.status == "degraded"
        assert errors() == {SHADOWED}
        # A scan that was refused does not become the baseline.
        assert outcome(recorded()).error == SHADOWED
    assert Anomaly.objects.filter(OPEN).count() == 1
    assert changes() == (0, 0, 0, 1)


def test_checks_of_the_remaining_tables_run(shadow: AbstractContextManager[None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE shadow.files; CREATE TABLE shadow.monitor_jobs (LIKE monitor_jobs INCLUDING ALL)")
    a_file("a", "processing")
    recorded()
    with shadow:
        errors_by_check = {outcome.check.name: outcome.error for outcome in read_scan(default_checks()).outcomes}
    refused = "monitor_jobs is now shadow.monitor_jobs; the last scan read public.monitor_jobs (--accept-tables)"
    assert errors_by_check == {
        STALE: None,
        "orphaned_processing": refused,
        "processing_job_done": refused,
        "unregistered_with_uuid": None,
    }


def test_a_client_of_rest_reads_the_reason(shadow: AbstractContextManager[None], nobody_left: None) -> None:
    recorded()
    with shadow:
        body = json.loads(report_reader()().body)
        assert {check["error"] for check in body["checks"]} == {SHADOWED}
        assert (body["status"], body["complete"]) == ("degraded", False)


def test_tables_that_one_scan_accepts_are_accepted_by_every_scan(shadow: AbstractContextManager[None]) -> None:
    a_file("a", "processing")
    recorded()
    with shadow:
        code, out, err = run(STALE, "--accept-tables")
        assert (code, err) == (0, "")
        assert "1 resolved" in out
        assert errors() == {None}
        assert outcome(recorded()).count == 0
    back = "files is now public.files; the last scan read shadow.files (--accept-tables)"
    assert errors() == {back}


def test_the_page_of_an_anomaly_does_not_call_a_shadowed_file_repaired(shadow: AbstractContextManager[None]) -> None:
    a_file("a", "processing")
    recorded()
    assert current_state(anomaly("a")).breaks_rule
    with shadow:
        state = current_state(anomaly("a"))
    assert (state.breaks_rule, state.problem) == (None, SHADOWED)


def test_a_scan_that_finds_no_table_keeps_the_baseline(shadow: AbstractContextManager[None], database_url: str) -> None:
    recorded()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files RENAME TO moved")
    try:
        assert outcome(recorded()).error == "table files does not exist"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE moved RENAME TO files")
    with shadow:
        assert errors() == {SHADOWED}


def test_checks_of_an_emptied_table_could_not_run_until_a_scan_accepts_the_table() -> None:
    a_file("a", "processing")
    recorded()
    File.objects.all().delete()
    assert outcome(recorded()).error == EMPTIED
    assert errors() == {EMPTIED}
    assert Anomaly.objects.filter(OPEN).count() == 1
    assert changes(accept=[TABLES]) == (0, 0, 1, 0)
    assert errors() == {None}
    a_file("b", "processing")
    assert changes() == (1, 0, 0, 0)
    File.objects.all().delete()
    assert errors() == {EMPTIED}


def test_a_table_that_cannot_be_read_in_time_may_be_empty(database_url: str) -> None:
    a_file("a", "processing")
    recorded()
    with psycopg.connect(database_url) as other:
        other.execute("TRUNCATE files")
        # The snapshot of the scan is older than the TRUNCATE, and would show an empty table after the lock.
        result = recorded()
        other.rollback()
    assert outcome(result).error == "another session has locked a table"
    assert Anomaly.objects.filter(OPEN).count() == 1
    assert changes() == (0, 0, 0, 1)


@pytest.mark.parametrize("problem", ["lock", "column"])
def test_an_empty_table_is_refused_while_the_history_cannot_be_read(database_url: str, problem: str) -> None:
    a_file("a", "processing")
    recorded()
    with psycopg.connect(database_url) as other:
        if problem == "lock":
            other.execute("LOCK TABLE consistency_scan IN ACCESS EXCLUSIVE MODE")
        else:
            other.execute("ALTER TABLE consistency_scan RENAME baseline TO other")
            other.commit()
        assert outcome_of_report().count == 1
        File.objects.all().delete()
        assert outcome_of_report().error == "files is empty, and the history cannot be read"
        if problem == "column":
            other.execute("ALTER TABLE consistency_scan RENAME other TO baseline")


def outcome_of_report() -> Outcome:
    return read_scan([CHECKS[STALE]]).outcomes[0]


def test_a_table_that_was_always_empty_and_an_emptied_table_of_jobs_are_no_problem() -> None:
    recorded()
    assert outcome(recorded()).count == 0
    job = a_job(1, "running", of="a")
    assert recorded("duplicate_active_jobs", "job_without_file").report.complete
    job.delete()
    assert recorded("duplicate_active_jobs", "job_without_file").report.complete


def test_each_database_has_a_baseline(shadow: AbstractContextManager[None]) -> None:
    recorded()
    Scan.objects.update(database="archive")
    with shadow:
        assert errors() == {None}


@pytest.mark.parametrize("option", ["--accept-tables", "--accept-ratio"])
@pytest.mark.parametrize("other", ["--no-record", "--dry-run-notices"])
def test_only_a_recorded_scan_accepts(option: str, other: str) -> None:
    code, _, err = run(option, other)
    assert (code, err) == (2, f"{option} needs a recorded scan: omit {other}")


def test_only_a_scan_of_an_external_check_accepts_a_ratio() -> None:
    code, _, err = run("--accept-ratio")
    names = "identity_file_missing, identity_row_missing"
    assert (code, err) == (2, f"--accept-ratio needs the name of an external check: {names}")
