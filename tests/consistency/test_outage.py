"""A scan and a stream on a PostgreSQL that stops answering, or goes away, in the middle."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from django.db import OperationalError, connection

from config.demo.servers import Server
from consistency.models import File
from consistency.registry import CHECKS
from consistency.scan.scanner import scan
from consistency.scan.selection import default
from consistency.scan.stream import Stream
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
    """A server of the test's own in place of the run's, with 5,000 stale files."""
    started = private_postgres()
    with moved_to(started.url):
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
        yield started


def test_a_server_that_hangs_costs_no_more_than_the_time_of_the_scan(server: Server) -> None:
    server.pause()
    started = monotonic()
    report = scan(default(), timeout=1.0)
    assert monotonic() - started < GENEROUS
    assert {outcome.count for outcome in report.outcomes} == {None}
    assert report.unreachable
    assert not report.complete


def test_what_was_found_before_the_server_hung_is_kept(server: Server, define: Define) -> None:
    def hang() -> Any:
        server.pause()
        return File.objects.all()

    checks = [CHECKS["stale_processing"], define("hang", hang), CHECKS["unregistered_with_uuid"]]
    report = scan(checks, timeout=2.0)
    stale, hung, late = report.outcomes
    assert (stale.count, stale.error) == (5000, None)
    assert (hung.count, late.count) == (None, None)
    assert late.error == "no time was left for it"
    assert report.affected_files is None


def test_a_server_that_goes_away_takes_the_snapshot_and_its_counts_along(server: Server, define: Define) -> None:
    def go() -> Any:
        server.stop()
        return File.objects.all()

    checks = [CHECKS["stale_processing"], define("go", go), CHECKS["unregistered_with_uuid"]]
    stale, gone, late = scan(checks).outcomes
    assert (stale.error, late.error) == ("PostgreSQL is not reachable",) * 2
    assert gone.error == "the connection to PostgreSQL was lost"


def test_a_stream_does_not_begin_without_a_server(server: Server) -> None:
    server.stop()
    with pytest.raises(OperationalError):
        Stream(default())


def test_a_stream_from_a_server_that_hangs_ends_in_time_and_says_that_it_is_incomplete(server: Server) -> None:
    stream = Stream(default(), timeout=2.0)
    pieces = iter(stream)
    check, rows = next(pieces)
    assert (check.name, len(rows)) == ("stale_processing", 2000)
    server.pause()
    started = monotonic()
    assert list(pieces) == []
    assert monotonic() - started < GENEROUS
    assert not stream.report.complete
    assert {outcome.count for outcome in stream.report.outcomes} == {None}
    server.resume()
    Stream(default()).close()


def test_closing_a_stream_from_a_server_that_hangs_does_not_wait_for_ever(server: Server) -> None:
    stream = Stream(default())
    next(iter(stream))
    server.pause()
    started = monotonic()
    stream.close()
    assert monotonic() - started < GENEROUS
