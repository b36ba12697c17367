"""The checks against SQL that was written by hand, row by row, on up to 200,000 random files and as many jobs."""

import csv
import json
import re
from collections.abc import Iterable

import pytest

from tests.consistency.conftest import moved_to
from tests.consistency.platforms import VIEWS, partitioned, platform, single_keys
from tests.consistency.processes import check_consistency, run
from tests.consistency.test_attach import index_sql
from tests.servers import Shared

# Rare combinations need many rows. Other tables change types and plans, and each combination still has many rows.
MANY, FEWER = 200_000, 40_000
SCHEMAS = {
    "tables": (single_keys("bigint"), "{}::bigint", MANY),
    "partitions": (partitioned(), "{}::bigint", FEWER),
    "views": (VIEWS, "{}::bigint", FEWER),
    "uuid job ids": (single_keys("uuid"), "lpad(to_hex({}), 32, '0')::uuid", FEWER),
    "varchar job ids": (single_keys("varchar(40)"), "'-' || {}", FEWER),
}
"""Tables, the SQL that turns a number into the id of a job, and the number of rows."""
Rows = dict[str, list[tuple[str, str]]]


# Statuses that matter are frequent, foreign words and nulls rare; ids dangle, file_uuids miss and repeat.
def load(job_id: str, number: int) -> str:
    random_id = job_id.format(f"(random() * {number} * 1.1)::int")
    return f"""
SELECT setseed(0.2026);
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at)
SELECT {job_id.format("n")}, CASE WHEN random() < 0.05 THEN '' WHEN random() < 0.3 THEN md5(n::text)
        ELSE md5((random() * {number} * 1.1)::int::text) END,
    CASE WHEN random() < 0.01 THEN (ARRAY['Running', 'done', ''])[1 + floor(random() * 3)] ELSE
        (ARRAY['pending', 'running', 'completed', 'failed', 'completed', 'failed'])[1 + floor(random() * 6)] END,
    CASE WHEN random() < 0.8 THEN timestamptz '2026-01-01' + random() * interval '200 days' END
FROM generate_series(1, {number}) n;
INSERT INTO files (file_uuid, file_name, status, job_id)
SELECT md5(n::text), '=video;-' || n || '.mp4',
    CASE WHEN random() < 0.01 THEN (ARRAY['Processing', 'ready', ''])[1 + floor(random() * 3)] ELSE
        (ARRAY['processing', 'processing', 'registered', 'completed', 'unregistered'])[1 + floor(random() * 5)] END,
    CASE WHEN random() < 0.3 THEN {job_id.format("n")} WHEN random() < 0.8 THEN {random_id} END
FROM generate_series(1, {number}) n;
ANALYZE;
"""


ACTIVE = "('pending', 'running')"
PLAIN = {
    "stale_processing": """
        SELECT file_uuid, 'job_id is null' FROM files WHERE status = 'processing' AND job_id IS NULL""",
    "orphaned_processing": f"""
        SELECT f.file_uuid, CASE
            WHEN f.job_id IS NULL THEN 'job_id is null and no job is active'
            WHEN j.id IS NULL THEN 'job ' || f.job_id || ' does not exist'
            WHEN j.status = '' THEN 'job ' || j.id || ' is empty'
            ELSE 'job ' || j.id || ' is ' || j.status END
        FROM files f LEFT JOIN monitor_jobs j ON j.id = f.job_id
        WHERE f.status = 'processing' AND (j.status IS NULL OR j.status NOT IN {ACTIVE})
        AND f.file_uuid NOT IN (SELECT file_uuid FROM monitor_jobs WHERE status IN {ACTIVE})""",
    "processing_job_done": """
        SELECT f.file_uuid, 'job ' || j.id || ' completed'
            || coalesce(to_char(j.finished_at AT TIME ZONE 'UTC', '" at "YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
        FROM files f JOIN monitor_jobs j ON j.id = f.job_id WHERE f.status = 'processing' AND j.status = 'completed'""",
    "unregistered_with_uuid": """
        SELECT file_uuid, 'row left over from a migration' FROM files WHERE status = 'unregistered'""",
    "unknown_status": """
        SELECT file_uuid, 'status is ' || CASE status WHEN '' THEN 'empty' ELSE status END FROM files
        WHERE status NOT IN ('unregistered', 'registered', 'processing', 'completed')
        UNION ALL SELECT id::text, 'status is ' || CASE status WHEN '' THEN 'empty' ELSE status END FROM monitor_jobs
        WHERE status NOT IN ('pending', 'running', 'completed', 'failed')""",
    "duplicate_active_jobs": f"""
        WITH active AS (SELECT id, file_uuid, count(*) OVER (PARTITION BY file_uuid) AS n FROM monitor_jobs
            WHERE status IN {ACTIVE} AND file_uuid <> '')
        SELECT id::text, 'one of ' || n || ' active jobs of file ' || file_uuid FROM active WHERE n > 1""",
    "job_without_file": f"""
        SELECT j.id::text, 'no file has the file_uuid ''' || j.file_uuid || '''' FROM monitor_jobs j
        LEFT JOIN files f USING (file_uuid) WHERE j.status IN {ACTIVE} AND f.file_uuid IS NULL""",
}
AFFECTED = f"""
    SELECT count(DISTINCT file_uuid) FROM files WHERE file_uuid IN (
        SELECT file_uuid FROM files WHERE status NOT IN ('registered', 'processing', 'completed')
        UNION SELECT file_uuid FROM ({PLAIN["orphaned_processing"]}) o
        UNION SELECT file_uuid FROM ({PLAIN["processing_job_done"]}) d
        UNION SELECT file_uuid FROM ({PLAIN["stale_processing"]}) s
        UNION SELECT file_uuid FROM monitor_jobs WHERE status NOT IN ('pending', 'running', 'completed', 'failed')
        UNION SELECT file_uuid FROM monitor_jobs WHERE status IN {ACTIVE} AND file_uuid <> ''
            GROUP BY file_uuid HAVING count(*) > 1)
"""


def by_check(rows: Iterable[dict[str, str]]) -> Rows:
    found: Rows = {name: [] for name in PLAIN}
    for row in rows:
        found[row["check"]].append((row.get("object_id") or row["file_uuid"], row["detail"]))
    return {name: sorted(found[name]) for name in PLAIN}


def csv_rows(text: str) -> list[dict[str, str]]:
    """The records without the apostrophe before a sign, and without empty cells."""
    *lines, last = re.sub(r"(^|[,;])'(?=[=-])", r"\1", text, flags=re.MULTILINE).splitlines()
    assert last.startswith("# complete: true")
    return [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(lines)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_row_is_what_plain_sql_finds_and_the_counts_agree(
    schema: str, postgres_server: Shared, transactional_db: None
) -> None:
    tables, job_id, number = SCHEMAS[schema]
    limit = number // 20
    with platform(postgres_server.url) as media:
        media.sql(tables)
        if tables != VIEWS:
            media.sql("; ".join(index_sql()))
        media.sql(load(job_id, number))
        expected: Rows = {name: sorted(media.sql(statement)) for name, statement in PLAIN.items()}
        assert all(len(rows) > 50 for rows in expected.values())

        ended = check_consistency(*PLAIN, "--format", "ndjson", database_url=media.url)
        assert ended.returncode == 1
        *rows, last = [json.loads(line) for line in ended.stdout.splitlines()]
        assert by_check(rows) == expected
        assert last["complete"]
        assert media.sql(AFFECTED) == [(last["affected_files"],)]
        with moved_to(media.url):
            table = run(*PLAIN, "--format", "csv")[1]
            report = json.loads(run(*PLAIN, "--format", "json", "--limit", str(limit))[1])

    # A cell does not say whether an empty text or null is behind it.
    assert csv_rows(table) == [{key: value for key, value in row.items() if value} for row in rows]
    assert {check["check"]: check["count"] for check in report["checks"]} == {n: len(r) for n, r in expected.items()}
    assert report["affected_files"] == last["affected_files"]
    assert {check["truncated"] for check in report["checks"]} == {True, False}
    for check in report["checks"]:
        assert check["truncated"] == (check["count"] > limit)
        first = by_check({"check": check["check"]} | row for row in check["files"])[check["check"]]
        assert len(first) == min(limit, check["count"])
        # Text sorts like the primary key of files, but not like numbers of jobs.
        assert set(first) <= set(expected[check["check"]])
        if "object_type" not in check["files"][0]:
            assert first == expected[check["check"]][:limit]
