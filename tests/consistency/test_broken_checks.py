"""A check that raises, writes, locks or loses the connection is told of, and no other check suffers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Func, IntegerField, Value

from consistency.history.scanning import read_scan
from consistency.models import File
from consistency.registry import CheckError
from consistency.scan.selection import default_checks
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.outcomes import HEALTHY, among_others, counts_and_errors
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


def missing_table() -> Any:
    return File.objects.extra(tables=["no_such_table"])


def raises() -> Any:
    raise RuntimeError("secret of /srv/continuity")


def says_why() -> Any:
    raise CheckError("the moon is full")


def divides() -> Any:
    return File.objects.alias(n=Func(Value(1), Value(0), function="div", output_field=IntegerField())).filter(n=1)


def closes_the_connection() -> Any:
    connection.close()
    return File.objects.all()


def closes_the_socket() -> Any:
    connection.connection.close()
    return File.objects.all()


def is_killed_by_the_server() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    return File.objects.all()


def writes_with_the_orm() -> Any:
    File.objects.create(file_uuid="written", file_name="written", status="registered")
    return File.objects.all()


def updates() -> Any:
    File.objects.update(status="completed")
    return File.objects.all()


def writes_in_sql() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO files (file_uuid, file_name) VALUES ('written', 'written')")
    return File.objects.all()


def commits_then_writes() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
        cursor.execute("INSERT INTO files (file_uuid, file_name) VALUES ('written', 'written')")
    return File.objects.all()


def commits_and_writes_at_once() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; COMMIT; INSERT INTO files (file_uuid, file_name) VALUES ('written', 'written')")
    return File.objects.all()


def commits_by_the_driver() -> Any:
    connection.connection.commit()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.execute("WITH new AS (DELETE FROM files RETURNING 1) SELECT count(*) FROM new")
    return File.objects.all()


def writes_in_a_query() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("WITH new AS (DELETE FROM files RETURNING 1) SELECT count(*) FROM new")
    return File.objects.all()


def takes_a_lock() -> Any:
    return File.objects.select_for_update()


def leaves_the_transaction() -> Any:
    transaction.set_rollback(True)
    return File.objects.all()


BROKEN: dict[Callable[[], Any], str] = {
    missing_table: "table no_such_table does not exist",
    raises: "unexpected error",
    says_why: "the moon is full",
    divides: "PostgreSQL refused its query (SQLSTATE 22012)",
    closes_the_connection: "the connection to PostgreSQL was lost",
    closes_the_socket: "the connection to PostgreSQL was lost",
    is_killed_by_the_server: "the connection to PostgreSQL was lost",
    writes_with_the_orm: "it tried to do more than read",
    updates: "it tried to do more than read",
    writes_in_sql: "it tried to do more than read",
    commits_then_writes: "it tried to do more than read",
    commits_and_writes_at_once: "it tried to do more than read",
    commits_by_the_driver: "it left the scan's transaction",
    writes_in_a_query: "it tried to write",
}


@pytest.mark.parametrize("function", BROKEN, ids=lambda function: function.__name__)
def test_a_broken_check_is_told_writes_nothing_and_the_others_still_report(
    one_of_each: None, define: Define, function: Callable[[], Any]
) -> None:
    report = read_scan(among_others(define("broken", function)))
    assert counts_and_errors(report) == HEALTHY | {"broken": BROKEN[function]}
    assert (report.status, report.complete, report.affected_files) == ("degraded", False, None)
    assert set(File.objects.values_list("file_uuid", "status")) == {("stale", "processing"), ("rest", "unregistered")}
    # And the connection is as good as before: not read-only, not in a transaction.
    a_file("afterwards", "registered")


@pytest.mark.parametrize("function", [takes_a_lock, leaves_the_transaction])
def test_other_mischief_is_no_harm_to_the_others(
    one_of_each: None, define: Define, function: Callable[[], Any]
) -> None:
    report = counts_and_errors(read_scan(among_others(define("broken", function))))
    assert {name: report[name] for name in HEALTHY} == HEALTHY


def test_a_missing_column_is_named(one_of_each: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitor_jobs RENAME COLUMN finished_at TO ended_at")
        cursor.execute("INSERT INTO monitor_jobs (id, file_uuid, status) VALUES (1, 'a', 'completed')")
        cursor.execute("UPDATE files SET job_id = 1 WHERE file_uuid = 'stale'")
    try:
        report = counts_and_errors(read_scan(default_checks()))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitor_jobs RENAME COLUMN ended_at TO finished_at")
    assert report["processing_job_done"] == "column finished_at does not exist"
    assert report["orphaned_processing"] == 1


def test_a_check_that_fails_when_asked_again_stops_nothing(define: Define) -> None:
    """Its rows are asked for once more, to count the files that all checks found."""
    asked = 0

    def moody() -> Any:
        nonlocal asked
        asked += 1
        if asked % 2 == 0:
            raise ValueError("not again")
        return File.objects.processing()

    define("moody", moody)
    a_file("a", "processing")
    code, out, _ = run("moody", "stale_processing", "--format", "json", "--no-record")
    report = json.loads(out)
    assert (code, [check["count"] for check in report["checks"]]) == (1, [1, 1])
    assert report["affected_files"] is None
    code, out, _ = run("moody", "--format", "ndjson", "--no-record")
    assert (code, json.loads(out.splitlines()[-1])["checks"][0]["count"]) == (1, 1)
