"""The checks against SQL that was written by hand, row by row, on 200,000 random files and as many jobs."""

import json
from typing import Any

import pytest
from django.db import connection

from tests.consistency.processes import check_consistency, run

pytestmark = pytest.mark.usefixtures("transactional_db")

NUMBER = 200_000
# Statuses that matter are frequent, foreign words and nulls rare; ids dangle, file_uuids miss and repeat.
LOAD = f"""
SELECT setseed(0.2026);
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at)
SELECT n, CASE WHEN random() < 0.05 THEN '' ELSE md5((random() * {NUMBER} * 1.1)::int::text) END,
    CASE WHEN random() < 0.01 THEN (ARRAY['Running', 'done', ''])[1 + floor(random() * 3)] ELSE
        (ARRAY['pending', 'running', 'completed', 'failed', 'completed', 'failed'])[1 + floor(random() * 6)] END,
    CASE WHEN random() < 0.8 THEN timestamptz '2026-01-01' + random() * interval '200 days' END
FROM generate_series(1, {NUMBER}) n;
INSERT INTO files (file_uuid, file_name, status, job_id)
SELECT md5(n::text), 'video ' || n || '.mp4',
    CASE WHEN random() < 0.01 THEN (ARRAY['Processing', 'ready', ''])[1 + floor(random() * 3)] ELSE
        (ARRAY['processing', 'processing', 'registered', 'completed', 'unregistered'])[1 + floor(random() * 5)] END,
    CASE WHEN random() < 0.8 THEN (random() * {NUMBER} * 1.1)::int END
FROM generate_series(1, {NUMBER}) n;
ANALYZE files, monitor_jobs;
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


def sql(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_every_row_is_what_plain_sql_finds_and_the_counts_agree(database_url: str) -> None:
    sql(LOAD)
    expected = {name: sorted(sql(statement)) for name, statement in PLAIN.items()}
    assert all(len(rows) > 50 for rows in expected.values())

    ended = check_consistency(*PLAIN, "--format", "ndjson", database_url=database_url)
    assert ended.returncode == 1
    *rows, last = [json.loads(line) for line in ended.stdout.splitlines()]
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in PLAIN}
    for row in rows:
        found[row["check"]].append((row.get("object_id", row.get("file_uuid")), row["detail"]))
    assert {name: sorted(found[name]) for name in PLAIN} == expected
    assert last["complete"]
    assert sql(AFFECTED) == [(last["affected_files"],)]

    report = json.loads(run(*PLAIN, "--format", "json")[1])
    assert {check["check"]: check["count"] for check in report["checks"]} == {n: len(r) for n, r in expected.items()}
    assert report["affected_files"] == last["affected_files"]
    assert all(check["truncated"] == (check["count"] > 100) for check in report["checks"])
    assert all(len(check["files"]) == min(100, check["count"]) for check in report["checks"])
