"""Jobs in hash partitions by file_uuid: a scan looks for the named job in the file's partition before the rest."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef

from consistency.models import File, MonitorJob
from consistency.registry import CHECKS, Query
from consistency.scan.findings import finding_values
from consistency.scan.sql import count_sql, query_sql
from tests.consistency.conftest import moved_to
from tests.consistency.platforms import Platform, partitioned, platform
from tests.consistency.test_attach import index_sql
from tests.consistency.test_plans import nodes
from tests.servers import Shared

NUMBER = 100_000
IN_FLIGHT = 2_000
OWN, FOREIGN = 200, 20
PARTITIONS = 16
ACTIVE = PARTITIONS + IN_FLIGHT - OWN - FOREIGN
"""Visits of one scan of the active jobs."""
LOOKUP = 2 * (OWN + FOREIGN + PARTITIONS * FOREIGN)
"""Visits that look up the named jobs: one partition and one row for each file, and 16 for a job of another file."""
# Of the files in flight most have an active job, some a completed job of their own, and few a job of another file.
LOAD = f"""
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at)
SELECT n, md5(n::text), CASE WHEN n > {OWN + FOREIGN} AND n <= {IN_FLIGHT} THEN 'running' ELSE 'completed' END, now()
FROM generate_series(1, {NUMBER}) n;
INSERT INTO files (file_uuid, file_name, status, job_id)
SELECT md5(n::text), 'video.mp4', CASE WHEN n <= {IN_FLIGHT} THEN 'processing' ELSE 'completed' END,
    CASE WHEN n <= {FOREIGN} THEN {NUMBER} - n ELSE n END
FROM generate_series(1, {NUMBER}) n;
"""


@pytest.fixture(params=["text", "varchar(64)"])
def media(request: pytest.FixtureRequest, postgres_server: Shared, transactional_db: None) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(partitioned(key=request.param))
        made.sql("; ".join(index_sql()))
        made.sql(LOAD)
        made.sql("VACUUM ANALYZE")
        with moved_to(made.url):
            yield made


def visits(statement: str | None) -> int:
    """The number of partitions and rows of jobs that the statement looks at, a partition again for each file."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        found = nodes(cursor.fetchone()[0][0]["Plan"])
    jobs = [node for node in found if str(node.get("Relation Name")).startswith("jobs_")]
    return sum(
        node["Actual Loops"] * round(1 + node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in jobs
    )


def previous_form() -> Query:
    """The condition without the file_uuid: the rows are the same, the plan is not."""
    named = MonitorJob.objects.filter(pk=OuterRef("job_id"))
    return File.objects.processing().filter(~Exists(named.active()), Exists(named.completed()))


def test_the_named_job_is_looked_up_in_the_partition_of_the_file_first(media: Platform) -> None:
    [query] = CHECKS["processing_job_done"].queries()
    assert sorted(query.values_list("pk")) == sorted(previous_form().values_list("pk"))
    assert query.count() == OWN + FOREIGN
    assert visits(count_sql(query, "default")) <= ACTIVE + LOOKUP
    assert visits(count_sql(previous_form(), "default")) > 10 * (ACTIVE + LOOKUP)


@pytest.mark.parametrize(
    ("name", "most"), [("orphaned_processing", 2 * ACTIVE + LOOKUP), ("processing_job_done", ACTIVE + 2 * LOOKUP)]
)
def test_the_detail_reads_other_partitions_only_without_a_job_of_the_file(
    media: Platform, name: str, most: int
) -> None:
    [query] = CHECKS[name].queries()
    rows: Any = finding_values(query, CHECKS[name])
    assert rows.count() == OWN + FOREIGN
    assert visits(query_sql(rows, "default")) <= most
