"""A query that the planner refuses costs the check, and one line in the log."""

import json

from tests.consistency.platforms import platform, single_keys
from tests.consistency.processes import check_consistency
from tests.servers import Shared

# The view can be created, but no query that keeps the join can be planned.
VIEW = """
ALTER TABLE monitor_jobs RENAME TO all_jobs;
CREATE VIEW monitor_jobs AS SELECT coalesce(a.id, b.id) AS id, coalesce(a.file_uuid, b.file_uuid) AS file_uuid,
    coalesce(a.status, b.status) AS status, a.created_at, a.updated_at, a.finished_at
    FROM all_jobs a FULL JOIN all_jobs b ON a.id < b.id;
INSERT INTO files (file_uuid, status) VALUES ('a', 'processing');
"""


def test_a_query_that_the_planner_refuses_could_not_run_without_a_traceback(postgres_server: Shared) -> None:
    with platform(postgres_server.url) as media:
        media.sql(single_keys("bigint"))
        media.sql(VIEW)
        ended = check_consistency("--format", "json", database_url=media.url)
    checks = {check["check"]: check for check in json.loads(ended.stdout)["checks"]}
    refused = {name for name, check in checks.items() if check["count"] is None}
    assert refused == {"orphaned_processing", "processing_job_done"}
    assert {checks[name]["error"] for name in refused} == {"PostgreSQL does not support its query"}
    assert (checks["stale_processing"]["count"], checks["unregistered_with_uuid"]["count"]) == (1, 0)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    # The log has a repeated cause once a minute.
    assert len([line for line in ended.stderr.splitlines() if "A check could not run: FULL JOIN" in line]) == 1
