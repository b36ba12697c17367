"""Recording across processes: killed at any moment, and two at once."""

import random
import subprocess
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection

from consistency.history.news import RecordedScan
from consistency.history.writing import Memory
from consistency.models.history import Anomaly, Scan, ScanCheck
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, holding, news
from tests.consistency.processes import run, started

pytestmark = pytest.mark.usefixtures("transactional_db")

MANY = 5_000


def many() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'n', 'processing' FROM generate_series(1, %s) n",
            [MANY],
        )


def scanning(url: str, *options: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """A scan in a process that is killed (SIGKILL) where the block ends."""
    return started("check_consistency", STALE, "--limit", "0", *options, stdout=subprocess.PIPE, url=url)


RECORDS = """
SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"""
WRITES = "SELECT pid FROM pg_stat_activity WHERE pid = %s AND backend_xid IS NOT NULL"
WAITS = "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
LIVES = "SELECT pid FROM pg_stat_activity WHERE pid = %s"


def asked(question: str, *pid: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(question, pid)
        found = cursor.fetchone()
    return found[0] if found else None


def when(question: str, *pid: int, so: bool = True) -> int:
    """Wait until it is so; returns the backend."""
    until = time.monotonic() + 60
    while ((found := asked(question, *pid)) is not None) is not so:
        assert time.monotonic() < until
        time.sleep(0.002)
    return found or 0


@pytest.mark.parametrize("table", ["anomaly", "scancheck", "mute"])
def test_killed_while_it_writes_a_table_nothing_of_the_scan_is_there(database_url: str, table: str) -> None:
    a_file("a", "processing")
    with holding(f"LOCK TABLE consistency_{table} IN EXCLUSIVE MODE"), scanning(database_url):
        backend = when(RECORDS)
        when(WAITS, backend)
    when(LIVES, backend, so=False)
    assert not any(model.objects.exists() for model in (Scan, ScanCheck, Anomaly))


def test_killed_at_any_moment_of_its_writing_the_whole_scan_is_there_or_nothing_of_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many()
    seconds = seconds_of_writing(monkeypatch)
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    inside = 0
    for _ in range(2):
        before = Scan.objects.count()
        with scanning(database_url):
            backend = when(RECORDS)
            when(WRITES, backend)
            time.sleep(chance.uniform(0, 0.6) * seconds)
        when(LIVES, backend, so=False)
        scans = Scan.objects.count()
        inside += scans == before
        assert scans - before in (0, 1)
        assert ScanCheck.objects.count() == scans
        assert set(Anomaly.objects.values_list("times_seen", flat=True)) == {scans}
        assert Anomaly.objects.count() == MANY
    assert inside, "no kill fell into the writing"
    assert news() == (0, 0, 0, MANY)


def seconds_of_writing(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long it takes to record what the next scans find again."""
    took: list[float] = []
    write = Memory.write

    def timed(*arguments: Any, **more: Any) -> RecordedScan:
        begun = time.monotonic()
        done = write(*arguments, **more)
        took.append(time.monotonic() - begun)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "write", timed)
        assert news() == (MANY, 0, 0, 0)
    return took[0]


def test_of_two_at_once_one_records_whole_and_the_other_says_that_another_runs(database_url: str) -> None:
    a_file("a", "processing")
    with scanning(database_url, "--confirm", "2s") as first:
        when(RECORDS)
        code, out, err = run(STALE)
        assert (code, out, "is under way" in err) == (3, "", True)
        assert (first.communicate(timeout=60)[1], first.returncode) == ("", 1)
    assert (Scan.objects.count(), Anomaly.objects.get().times_seen) == (1, 1)
