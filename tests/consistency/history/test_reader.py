"""A reader of standard output that pauses, and a disk without room for the report."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable

import pytest
from django.db import connection

from common import output
from consistency.models.history import Scan
from tests.consistency.conftest import AtMost
from tests.consistency.history.data import STALE
from tests.consistency.processes import run, started

pytestmark = pytest.mark.usefixtures("transactional_db")

MANY = 20_000
"""Findings: more than a pipe or the memory of a held report takes."""
IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"""


@pytest.fixture(autouse=True)
def many_stale_files(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT lpad(n::text, 8, '0'), 'name.mp4', 'processing' FROM generate_series(1, %s) n",
            [MANY],
        )


def is_in_transaction() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(IN_TRANSACTION)
        return bool(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["ndjson", "csv"])
def test_a_paused_reader_holds_up_neither_the_scan_nor_the_recording(database_url: str, how: str) -> None:
    with started("check_consistency", STALE, "--format", how, stdout=subprocess.PIPE, url=database_url) as process:
        wait_until(Scan.objects.exists)
        wait_until(lambda: not is_in_transaction())
        scan = Scan.objects.get()
        assert (scan.complete, scan.new, process.poll()) == (True, MANY, None)
        out, err = process.communicate(timeout=60)
    *_, last = out.splitlines()
    assert (process.returncode, err, len(out.splitlines())) == (1, "", MANY + {"ndjson": 1, "csv": 2}[how])
    if how == "ndjson":
        report = json.loads(last)
        assert (report["complete"], report["recorded"]["new"]) == (True, MANY)
    else:
        assert last.startswith("# complete: true, ")


def test_a_report_that_the_disk_has_no_room_for_is_3_and_not_recorded(at_most: AtMost) -> None:
    at_most(output.MEMORY_LIMIT * 3 // 2)
    assert run(STALE, "--format", "ndjson") == (3, "", f"Cannot write {tempfile.gettempdir()}: File too large.")
    assert not Scan.objects.exists()
