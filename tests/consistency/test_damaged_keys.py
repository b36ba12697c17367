"""Duplicates, null keys and infinite times end no check, no recording and no format."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.models import Exists, OuterRef

from consistency.history.current_state import current_state
from consistency.history.scanning import read_scan
from consistency.models import Anomaly, File, MonitorJob
from consistency.registry import CHECKS
from tests.consistency.conftest import moved_to
from tests.consistency.data import details
from tests.consistency.platforms import Platform, keyed, platform
from tests.consistency.processes import manage_each
from tests.servers import Shared

pytestmark = pytest.mark.usefixtures("transactional_db")

# Each key twice and null in each status. Of the jobs with one id some are completed, some failed, some active.
CONTENT = """
CREATE TABLE identities (uuid text, name text, source text, metadata jsonb, is_active boolean,
    created_at timestamptz, updated_at timestamptz);
INSERT INTO identities (uuid, name) VALUES (NULL, 'Ann');
INSERT INTO files (file_uuid, file_name, status, job_id, updated_at)
    SELECT key, 'name', status, job, time FROM unnest(ARRAY['a', 'a', 'b', NULL, NULL]) key,
    unnest(ARRAY['processing', 'unregistered', 'ready', NULL]) status, unnest(ARRAY[1, 2, 3, 4, 9, NULL]) job,
    unnest(ARRAY[now(), 'infinity', '-infinity', NULL]) time;
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at)
    SELECT id, key, status, time FROM unnest(ARRAY['a', 'b', 'gone', '', NULL]) key,
    (VALUES (1, 'completed'), (1, 'failed'), (2, 'completed'), (2, 'completed'), (3, 'failed'), (3, 'failed'),
        (4, 'running'), (4, 'completed'), (5, 'Running'), (6, 'pending'), (NULL, 'running'),
        (NULL, 'ready')) job (id, status),
    unnest(ARRAY[now(), 'infinity', '-infinity', NULL]) time WHERE key IS DISTINCT FROM 'a' OR id < 4;
"""
SINGLE = """
INSERT INTO files (file_uuid, status, job_id) VALUES ('c', 'processing', 1), ('d', 'processing', 2);
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at) VALUES
    (1, 'c', 'failed', NULL), (1, 'x', 'completed', NULL), (1, 'x', 'completed', 'infinity'),
    (2, 'x', 'failed', NULL), (2, 'y', 'completed', '2026-01-02'),
    (2, 'z', 'completed', '2026-01-01');
"""


@pytest.fixture
def media(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(keyed())
        yield made


def test_every_check_runs_twice_on_damaged_tables_in_every_format(
    media: Platform, database_url: str, tmp_path: Path
) -> None:
    media.sql(CONTENT)
    (tmp_path / "_index.json").write_text("{}")
    scan = ["check_consistency", *CHECKS, "--database", "replica", "--format"]
    environment = {"DATABASE_URL_REPLICA": media.url, "IDENTITIES_DIR": str(tmp_path)}
    ended = manage_each(
        *([*scan, name] for name in ("text", "json", "ndjson", "csv", "json")), database_url=database_url, **environment
    )
    assert [(each.code, each.err) for each in ended] == [(1, "")] * 5
    first, second = (json.loads(ended[number].out) for number in (1, 4))
    counts = {check["check"]: check["count"] for check in first["checks"]}
    assert all(counts[check.name] for check in CHECKS.values() if not check.external), counts
    assert None not in counts.values()
    assert second["recorded"]["new"] == second["recorded"]["resolved"] == 0
    rows = [json.loads(line) for line in ended[2].out.splitlines()][:-1]
    assert len(rows) == sum(counts.values()) == len(list(csv.DictReader(ended[3].out.splitlines()[:-1])))
    assert Anomaly.objects.filter(object_id="null").exists()
    assert not Anomaly.objects.filter(object_id="None").exists()


def test_the_rows_are_those_of_the_plain_condition_and_the_details_are_the_same_each_time(media: Platform) -> None:
    media.sql(CONTENT + SINGLE)
    named = MonitorJob.objects.filter(pk=OuterRef("job_id"))
    plain = File.objects.processing().filter(~Exists(named.active()), Exists(named.completed()))
    with moved_to(media.url):
        [query] = CHECKS["processing_job_done"].queries()
        keys = [sorted(rows.values_list("pk", "job_id", "updated_at"), key=str) for rows in (query, plain)]
        done, orphaned = details("processing_job_done"), details("orphaned_processing")
    assert keys[0] == keys[1] != []
    # The job of the file comes first; of several jobs the first text.
    assert (done["c"], orphaned["c"]) == ("job 1 completed", "job 1 is failed")
    assert (done["d"], orphaned["d"]) == ("job 2 completed", "job 2 is completed")


def test_the_page_of_a_row_without_key_knows_that_the_row_still_breaks_the_rule(media: Platform) -> None:
    # The page reads the baseline of the last scan, of which there is none.
    media.sql(CONTENT + "CREATE TABLE consistency_scan (id bigint, database text, baseline jsonb)")
    check = CHECKS["duplicate_keys"]
    with moved_to(media.url):
        [outcome] = read_scan([check]).outcomes
    row = next(row for row in outcome.rows if row["object_id"] == "null")
    anomaly = Anomaly(check_name=check.name, database="default", object_type="file", object_id="null")
    with moved_to(media.url):
        state = current_state(anomaly)
    assert (state.problem, state.breaks_rule, state.detail) == (None, True, row["detail"])
