"""A check that writes changes nothing and could not run: each kind of write, through each entry of the engine."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from threading import Event
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.models.expressions import RawSQL

from consistency.history.current_state import current_state, object_sql
from consistency.history.scanning import read_scan, record_scan
from consistency.models import File
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Check, Finding
from consistency.scan.engine import Engine
from consistency.scan.passes import collect
from consistency.scan.report import Report
from tests.consistency.api.data import report_reader
from tests.consistency.conftest import Define
from tests.consistency.data import a_file

pytestmark = pytest.mark.usefixtures("transactional_db")

DELETE = "WITH gone AS (DELETE FROM files RETURNING file_uuid) SELECT count(*) FROM gone"


def deletes_in_a_cursor() -> Any:
    with connections["default"].cursor() as cursor:
        cursor.execute(DELETE)
    return File.objects.all()


def deletes_in_its_query() -> Any:
    return File.objects.extra(where=["file_uuid IN (SELECT file_uuid FROM delete_files())"])


def deletes_with_the_orm() -> Any:
    File.objects.all().delete()
    return File.objects.all()


def begins_a_new_transaction() -> Any:
    connections["default"].connection.commit()
    connections["default"].connection.execute("DELETE FROM files")
    return File.objects.all()


def external_cursor(using: str) -> Iterator[Finding]:
    """Writes in a cursor"""
    with connections[using].cursor() as cursor:
        cursor.execute(DELETE)
        yield Finding(object_type="file", object_id="a", detail="gone")


def external_orm(using: str) -> Iterator[Finding]:
    """Writes through the ORM"""
    File.objects.using(using).delete()
    yield Finding(object_type="file", object_id="a", detail="gone")


def external_driver(using: str) -> Iterator[Finding]:
    """Writes through the driver"""
    connections[using].connection.commit()
    connections[using].connection.execute("DELETE FROM files")
    yield Finding(object_type="file", object_id="a", detail="gone")


INTERNAL: list[Callable[..., Any]] = [
    deletes_in_a_cursor,
    deletes_in_its_query,
    deletes_with_the_orm,
    begins_a_new_transaction,
]
EXTERNAL: list[Callable[..., Any]] = [external_cursor, external_orm, external_driver]


def limited(checks: list[Check]) -> Report:
    return read_scan(checks)


def every_row(checks: list[Check]) -> Report:
    return read_scan(checks, limit=None)


def in_chunks(checks: list[Check]) -> Report:
    engine = Engine(checks, every_row=True)
    for _ in engine:
        pass
    return engine.report


def recorded(checks: list[Check]) -> Report:
    result = record_scan(checks, trigger="command")
    assert result.problem is None
    return result.report


def confirmed(checks: list[Check]) -> Report:
    return read_scan(checks, confirm=0.01)


def recorded_and_confirmed(checks: list[Check]) -> Report:
    return record_scan(checks, trigger="command", confirm=0.01).report


def streamed_and_recorded(checks: list[Check]) -> Report:
    return record_scan(checks, trigger="command", limit=None, consume=collect).report


ENTRIES = [limited, every_row, in_chunks, recorded, confirmed, recorded_and_confirmed, streamed_and_recorded]


@pytest.fixture
def writing_function(transactional_db: None) -> Iterator[None]:
    """A function that deletes while it is read, as a check's query may call one."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION delete_files() RETURNS SETOF files LANGUAGE sql AS 'DELETE FROM files RETURNING *'"
        )
    yield
    with connections["default"].cursor() as cursor:
        cursor.execute("DROP FUNCTION delete_files()")


@pytest.mark.usefixtures("writing_function")
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("function", INTERNAL + EXTERNAL)
def test_a_writing_check_leaves_the_row_and_could_not_run(
    define: Define, function: Callable[..., Any], entry: Callable[[list[Check]], Report]
) -> None:
    a_file("stale", "processing")
    detail = {"detail": None} if function in EXTERNAL else {}
    broken = define("broken", function, **detail)
    report = entry([CHECKS["stale_processing"], broken, CHECKS["unregistered_with_uuid"]])
    stale, outcome, unregistered = report.outcomes
    assert File.objects.filter(pk="stale").exists()
    assert (outcome.count, bool(outcome.error)) == (None, True)
    assert (stale.count, unregistered.count) == (1, 0)


def test_a_session_of_a_scan_is_read_only_by_default(define: Define) -> None:
    values: list[str] = []

    def shows() -> Any:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('default_transaction_read_only'), current_setting('transaction_read_only')"
            )
            values.extend(cursor.fetchone())
        return File.objects.annotate(n=RawSQL("1", ())).none()

    read_scan([define("shows", shows)])
    assert values[:2] == ["on", "on"]


@pytest.mark.usefixtures("writing_function")
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/csv"])
@pytest.mark.parametrize("function", INTERNAL + EXTERNAL)
def test_a_writing_check_over_rest_leaves_the_row_and_could_not_run(
    define: Define, function: Callable[..., Any], accept: str
) -> None:
    a_file("stale", "processing")
    define("broken", function, **({"detail": None} if function in EXTERNAL else {}))
    answer = report_reader()("?check=stale_processing,broken,unregistered_with_uuid", accept)
    assert answer.status_code == 200
    assert File.objects.filter(pk="stale").exists()
    if accept == "text/csv":
        assert "complete: false" in answer.body.splitlines()[-1]
        assert "stale_processing: 1, " in answer.body.splitlines()[-1]
        return
    report = json.loads(answer.body.splitlines()[-1])
    counts = {check["check"]: (check["count"], "error" in check) for check in report["checks"]}
    assert counts == {
        "stale_processing": (1, False), "unregistered_with_uuid": (0, False), "broken": (None, True)
    }  # fmt: skip


@pytest.mark.parametrize("command", [["check"], ["check_consistency", "broken", "--sql"]])
@pytest.mark.parametrize("function", [deletes_in_a_cursor, deletes_with_the_orm])
def test_commands_that_print_or_compile_sql_leave_the_row(
    define: Define, function: Callable[..., Any], command: list[str]
) -> None:
    a_file("stale", "processing")
    define("broken", function)
    with pytest.raises(Exception, match="read-only"):
        call_command(*command)
    assert File.objects.filter(pk="stale").exists()


@pytest.mark.parametrize("function", [deletes_in_a_cursor, deletes_with_the_orm])
def test_the_page_of_an_anomaly_leaves_the_row(define: Define, function: Callable[..., Any]) -> None:
    a_file("stale", "processing")
    writes: list[bool] = []
    recorded([define("broken", lambda: function() if writes else File.objects.all())])
    writes.append(True)
    anomaly = Anomaly.objects.get()
    assert current_state(anomaly).problem
    assert object_sql(anomaly) == []
    assert File.objects.filter(pk="stale").exists()


@pytest.mark.parametrize("function", [deletes_in_a_cursor, deletes_with_the_orm, external_cursor, external_orm])
def test_a_check_cannot_write_to_another_database_than_the_scanned_one(
    define: Define, function: Callable[..., Any]
) -> None:
    a_file("stale", "processing")

    def external(using: str) -> Iterator[Finding]:
        """Writes to the default database"""
        yield from function("default")

    connections.settings["second"] = connections.settings["default"]
    try:
        broken = define("broken", external, detail=None) if function in EXTERNAL else define("broken", function)
        [outcome] = read_scan([broken], database="second").outcomes
    finally:
        connections["second"].close()
        del connections["second"], connections.settings["second"]
    assert outcome.error
    assert File.objects.filter(pk="stale").exists()


def test_an_external_check_out_of_time_cannot_write_at_its_end(define: Define) -> None:
    a_file("stale", "processing")
    begun, ended = Event(), Event()

    def external(using: str) -> Iterator[Finding]:
        """Writes at its end"""
        begun.set()
        try:
            for number in count():
                yield Finding(object_type="file", object_id=str(number), detail="gone")
        finally:
            ended.set()
            File.objects.using(using).all().delete()

    broken = define("broken", external, detail=None)
    # On a busy machine the time may be over before the check begins.
    for timeout in (1, 4, 16):
        [outcome] = read_scan([broken], timeout=timeout).outcomes
        assert outcome.error
        if begun.is_set():
            break
    assert ended.wait(60)
    assert File.objects.filter(pk="stale").exists()
