"""Each check is served by an index of ours: on a table of many healthy rows no scan reads the table."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from consistency.registry import CHECKS, Query
from consistency.scan.findings import finding_values
from consistency.scan.selection import default_checks
from consistency.scan.sql import count_sql, query_sql

LOAD = """
INSERT INTO monitor_jobs (id, file_uuid, status) SELECT n, md5(n::text), 'completed' FROM generate_series(1, 20000) n;
UPDATE monitor_jobs SET status = 'running' WHERE id % 200 = 0;
INSERT INTO files (file_uuid, file_name, status, job_id)
    SELECT md5(n::text), 'video.mp4', 'completed', n FROM generate_series(1, 20000) n;
UPDATE files SET status = 'processing' WHERE job_id % 1000 IN (0, 1);
UPDATE files SET status = 'unregistered' WHERE job_id % 150 = 2;
"""
DEFINITIONS = ("consistency.consistency_checks", "identities.consistency_checks")
SERVED: dict[str, set[str]] = {
    "stale_processing": {"files_processing"},
    "orphaned_processing": {"files_processing", "monitor_jobs_active_id", "monitor_jobs_active_file"},
    "processing_job_done": {"files_processing", "monitor_jobs_active_id", "monitor_jobs_pkey"},
    "unregistered_with_uuid": {"files_unregistered"},
    "unknown_status": {"files_unknown_status", "monitor_jobs_unknown_status"},
    "duplicate_active_jobs": {"monitor_jobs_active_file"},
    "job_without_file": {"monitor_jobs_active_file"},
    "identity_without_uuid": set(),
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def plan(statement: str, options: str = "FORMAT JSON") -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}) {statement}")
        return list(nodes(cursor.fetchone()[0][0]["Plan"]))


def statements(query: Query, name: str) -> Iterator[str]:
    rows = finding_values(query, CHECKS[name])[:100]
    for statement in (count_sql(query, "default"), query_sql(rows, "default")):
        assert statement
        yield statement


def seen(found: list[dict[str, Any]], kind: str) -> set[str]:
    """The tables that the plan reads in this way."""
    return {node["Relation Name"] for node in found if node["Node Type"] == kind}


@pytest.fixture
def many_healthy_rows(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOAD)
        # Index-only scans need the visibility map, which autovacuum keeps on a platform.
        cursor.execute("VACUUM ANALYZE files, monitor_jobs")


@pytest.mark.usefixtures("many_healthy_rows")
def test_every_check_reads_its_suspects_by_an_index_and_never_the_table() -> None:
    own = {name for name, check in CHECKS.items() if check.function.__module__ in DEFINITIONS and not check.external}
    assert {*SERVED, "duplicate_keys"} == own
    for name, indexes in SERVED.items():
        found = [
            node
            for query in CHECKS[name].queries()
            for statement in statements(query, name)
            for node in plan(statement)
        ]
        assert seen(found, "Seq Scan") == set(), name
        assert indexes <= {node["Index Name"] for node in found if "Index Name" in node}, name


@pytest.mark.usefixtures("many_healthy_rows")
def test_with_primary_keys_duplicate_keys_reads_a_table_only_for_infinite_times() -> None:
    """No index serves infinite times, and the check runs by name only."""
    read = [
        {node["Relation Name"] for node in plan(statement, "ANALYZE, FORMAT JSON") if is_read(node)}
        for query in CHECKS["duplicate_keys"].queries()
        for statement in statements(query, "duplicate_keys")
    ]
    assert read == [set(), set(), set(), set(), {"files"}, {"files"}] + [set()] * 4 + [{"monitor_jobs"}] * 2
    assert CHECKS["duplicate_keys"] not in default_checks()


def is_read(node: dict[str, Any]) -> bool:
    return node["Actual Loops"] > 0 and node.get("Relation Name") in {"files", "monitor_jobs"}


@pytest.mark.usefixtures("many_healthy_rows")
def test_counting_the_default_checks_touches_no_row_of_files_at_all() -> None:
    for check in default_checks():
        [query] = check.queries()
        found = plan(next(statements(query, check.name)))
        assert seen(found, "Index Only Scan") >= {"files"}, check.name
        assert seen(found, "Index Scan") | seen(found, "Bitmap Heap Scan") <= {"monitor_jobs"}, check.name


@pytest.mark.usefixtures("many_healthy_rows")
def test_without_its_index_a_check_reads_the_table_so_these_tests_can_fail() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX files_processing")
        [query] = CHECKS["stale_processing"].queries()
        assert seen(plan(next(statements(query, "stale_processing"))), "Seq Scan") == {"files"}
        transaction.set_rollback(True)
