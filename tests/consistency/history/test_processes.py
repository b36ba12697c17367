"""Recording across processes: killed at any moment, and two at once."""

import random
import subprocess
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection

from consistency.history.changes import RecordedScan
from consistency.history.recorder import Recorder
from consistency.models.history import Anomaly, AnomalyEvent, Scan, ScanCheck
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, changes, holding
from tests.consistency.processes import run, started

pytestmark = pytest.mark.usefixtures("transactional_db")

MANY = 5_000


def create_files() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'n', 'processing' FROM generate_series(1, %s) n",
            [MANY],
        )


def scanning(url: str, *options: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """Scan in a process that is killed (SIGKILL) at the end of the block."""
    return started("check_consistency", STALE, "--limit", "0", *options, stdout=subprocess.PIPE, url=url)


RECORDS = """
SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"""
WRITES = "SELECT pid FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND objid = 0 AND granted"
WAITS = "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
LIVES = "SELECT pid FROM pg_stat_activity WHERE pid = %s"


def asked(query: str, *pid: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(query, pid)
        row = cursor.fetchone()
    return row[0] if row else None


def when(query: str, *pid: int, so: bool = True) -> int:
    """Wait until the query has a row, or with `so=False` none; return the backend."""
    until = time.monotonic() + 60
    while ((pid_found := asked(query, *pid)) is not None) is not so:
        assert time.monotonic() < until
        time.sleep(0.002)
    return pid_found or 0


@pytest.mark.parametrize("table", ["anomaly", "anomalyevent", "scancheck"])
def test_a_scan_killed_while_it_writes_a_table_leaves_nothing(database_url: str, table: str) -> None:
    a_file("a", "processing")
    with holding(f"LOCK TABLE consistency_{table} IN EXCLUSIVE MODE"), scanning(database_url):
        backend = when(RECORDS)
        when(WAITS, backend)
    when(LIVES, backend, so=False)
    assert not any(model.objects.exists() for model in (Scan, ScanCheck, Anomaly, AnomalyEvent))


def test_a_scan_killed_at_any_moment_of_its_writing_is_recorded_whole_or_not_at_all(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_files()
    seconds = seconds_of_writing(monkeypatch)
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    killed = 0
    for _ in range(2):
        before = Scan.objects.count()
        with scanning(database_url):
            backend = when(RECORDS)
            when(WRITES, backend)
            time.sleep(chance.uniform(0, 0.6) * seconds)
        when(LIVES, backend, so=False)
        scans = Scan.objects.count()
        killed += scans == before
        assert scans - before in (0, 1)
        assert ScanCheck.objects.count() == scans
        assert {anomaly.times_seen for anomaly in Anomaly.objects.all()} == {scans}
        assert Anomaly.objects.count() == AnomalyEvent.objects.count() == MANY
    assert killed, "no kill came while the scan was written"
    assert changes() == (0, 0, 0, MANY)


def seconds_of_writing(monkeypatch: pytest.MonkeyPatch) -> float:
    """Record the first scan; return the seconds that a scan without changes takes to be written."""
    seconds: list[float] = []
    finish = Recorder.finish

    def timed(*arguments: Any) -> RecordedScan | None:
        begun = time.monotonic()
        scan = finish(*arguments)
        seconds.append(time.monotonic() - begun)
        return scan

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "finish", timed)
        assert changes() == (MANY, 0, 0, 0)
        assert changes(keep=False) == (0, 0, 0, MANY)
    return seconds[-1]


def test_of_two_scans_at_once_one_is_recorded_and_the_other_says_that_another_runs(database_url: str) -> None:
    a_file("a", "processing")
    with scanning(database_url, "--confirm", "2s") as first:
        when(RECORDS)
        code, out, err = run(STALE)
        assert (code, out, "is under way" in err) == (3, "", True)
        assert (first.communicate(timeout=60)[1], first.returncode) == ("", 1)
    assert (Scan.objects.count(), Anomaly.objects.get().times_seen) == (1, 1)
