"""A scan on a PostgreSQL that stops answering, or goes away, in the middle."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from django.db import connection

from config.demo.servers import Server
from consistency.models import File
from consistency.registry import CHECKS
from consistency.scan.engine import CHUNK_SIZE, Engine
from consistency.scan.passes import collect
from consistency.scan.report import Report
from consistency.scan.selection import default_checks
from tests.consistency.conftest import Define, moved_to
from tests.servers import Start

GENEROUS = 15
TABLES = """
CREATE TABLE files (file_uuid text PRIMARY KEY, file_name text, status text, job_id bigint);
CREATE TABLE monitor_jobs (id bigint PRIMARY KEY, file_uuid text, status text, finished_at timestamptz);
INSERT INTO files SELECT 'file ' || n, 'a name', 'processing' FROM generate_series(1, 5000) n;
"""


@pytest.fixture
def server(transactional_db: None, private_postgres: Start) -> Iterator[Server]:
    """Use a private server with 5,000 stale files as the default database."""
    started = private_postgres()
    with moved_to(started.url):
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
        yield started


def scan(engine: Engine) -> Report:
    return collect(engine, engine)


def test_a_server_that_hangs_costs_no_more_than_the_time_of_the_scan(server: Server) -> None:
    server.pause()
    started = monotonic()
    report = scan(Engine(default_checks(), timeout=1.0, limit=100))
    assert monotonic() - started < GENEROUS
    assert {outcome.count for outcome in report.outcomes} == {None}
    assert report.unreachable
    assert not report.complete


def test_results_from_before_the_server_hung_are_kept(server: Server, define: Define) -> None:
    def hang() -> Any:
        server.pause()
        return File.objects.all()

    checks = [CHECKS["stale_processing"], define("hang", hang), CHECKS["unregistered_with_uuid"]]
    report = scan(Engine(checks, timeout=2.0, limit=100))
    stale, hung, late = report.outcomes
    assert (stale.count, stale.error) == (5000, None)
    assert (hung.count, late.count) == (None, None)
    assert late.error == "no time was left for it"
    assert report.affected_files is None


def test_a_check_during_which_the_server_stops_costs_no_result_from_before(server: Server, define: Define) -> None:
    def stop() -> Any:
        server.stop()
        return File.objects.all()

    checks = [CHECKS["stale_processing"], define("stop", stop), CHECKS["unregistered_with_uuid"]]
    stale, stopped, late = scan(Engine(checks, limit=100)).outcomes
    assert (stale.count, stale.error) == (5000, None)
    assert stopped.error == "the connection to PostgreSQL was lost"
    assert late.error == "PostgreSQL is not reachable"


def test_without_a_server_no_check_runs_and_the_reason_is_known(server: Server) -> None:
    server.stop()
    engine = Engine(default_checks())
    assert list(engine) == []
    assert engine.report.unreachable == "PostgreSQL is not reachable"
    assert {outcome.count for outcome in engine.report.outcomes} == {None}


def test_chunks_from_a_server_that_hangs_end_in_time_and_the_report_is_incomplete(server: Server) -> None:
    engine = Engine(default_checks(), timeout=2.0)
    chunks = iter(engine)
    chunk = next(chunks)
    assert (chunk.check.name, len(chunk.rows)) == ("stale_processing", CHUNK_SIZE)
    server.pause()
    started = monotonic()
    assert list(chunks) == []
    assert monotonic() - started < GENEROUS
    assert not engine.report.complete
    assert {outcome.count for outcome in engine.report.outcomes} == {None}
    server.resume()
    assert scan(Engine(default_checks(), limit=0)).complete


def test_an_engine_is_closed_in_time_while_the_server_hangs(server: Server) -> None:
    chunks = iter(Engine(default_checks(), timeout=2.0))
    next(chunks)
    server.pause()
    started = monotonic()
    chunks.close()
    assert monotonic() - started < GENEROUS
