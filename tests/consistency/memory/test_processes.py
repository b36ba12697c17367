"""Recording across processes: killed at any moment, and two at once."""

import random
import signal
import subprocess
import time
from contextlib import AbstractContextManager

import pytest
from django.db import connection

from consistency.models import File
from consistency.models.memory import Anomaly, Scan, ScanCheck
from tests.consistency.memory.data import STALE, news
from tests.consistency.processes import started

pytestmark = pytest.mark.usefixtures("transactional_db")

MANY = 20_000


def many() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'n', 'processing' FROM generate_series(1, %s) n",
            [MANY],
        )


def scanning(url: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    return started("check_consistency", STALE, "--limit", "0", stdout=subprocess.PIPE, url=url)


def recording_since() -> float | None:
    """Seconds that a transaction of another process has been at it, with the lock of a recording."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - xact_start) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted"
        )
        found = cursor.fetchone()
    return float(found[0]) if found else None


def wait_until(begun: bool) -> None:
    until = time.monotonic() + 60
    while (recording_since() is not None) is not begun:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_killed_at_any_moment_the_whole_scan_is_there_or_nothing_of_it(database_url: str) -> None:
    many()
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    for _ in range(4):
        before = Scan.objects.count()
        with scanning(database_url) as process:
            wait_until(begun=True)
            time.sleep(chance.uniform(0, 0.8))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
        wait_until(begun=False)
        scans = Scan.objects.count()
        assert scans - before in (0, 1)
        assert ScanCheck.objects.count() == scans
        assert set(Anomaly.objects.values_list("times_seen", flat=True)) == ({scans} if scans else set())
        assert Anomaly.objects.count() == (MANY if scans else 0)
    found = Anomaly.objects.exists()
    assert news() == ((0, 0, 0, MANY) if found else (MANY, 0, 0, 0))


def test_of_two_at_once_each_records_whole_or_says_that_another_runs(database_url: str) -> None:
    many()
    with scanning(database_url) as one, scanning(database_url) as other:
        ended = sorted((process.communicate(timeout=60)[1], process.returncode) for process in (one, other))
    done = [code for told, code in ended if code == 1]
    assert done
    assert all("is under way" in told for told, code in ended if code == 3)
    assert {code for _, code in ended} <= {1, 3}
    assert (Scan.objects.count(), Anomaly.objects.count()) == (len(done), MANY)
    assert set(Anomaly.objects.values_list("times_seen", flat=True)) == {len(done)}
    File.objects.all().delete()
    assert news() == (0, 0, MANY, 0)
