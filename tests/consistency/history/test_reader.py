"""Who reads slowly, pauses or goes away changes nothing of what is found, recorded and told."""

import json
import subprocess

import pytest

from common import output
from consistency.models.history import Scan
from tests.consistency.conftest import AtMost
from tests.consistency.history.data import STALE
from tests.consistency.history.test_processes import asked, when
from tests.consistency.processes import run, started
from tests.consistency.test_stream import many_stale

pytestmark = pytest.mark.usefixtures("transactional_db")

MANY = 20_000
"""Findings: more than a pipe holds, and than is held in memory."""
IS_RECORDED = "SELECT id FROM consistency_scan"
WAITS_FOR_A_READER = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'"""


@pytest.mark.parametrize("how", ["ndjson", "csv"])
def test_a_reader_that_pauses_holds_up_neither_the_scan_nor_what_is_recorded_of_it(database_url: str, how: str) -> None:
    many_stale(MANY)
    with started("check_consistency", STALE, "--format", how, stdout=subprocess.PIPE, url=database_url) as process:
        when(IS_RECORDED)
        when(WAITS_FOR_A_READER, so=False)
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
    assert asked(WAITS_FOR_A_READER) is None


# --- The disk --------------------------------------------------------------------------------------------
def test_a_report_that_the_disk_has_no_room_for_is_3_and_not_recorded(at_most: AtMost) -> None:
    many_stale(MANY)
    at_most(output.MEMORY_LIMIT * 3 // 2)
    assert run(STALE, "--format", "ndjson") == (3, "", "Cannot write the output: File too large.")
    assert not Scan.objects.exists()
