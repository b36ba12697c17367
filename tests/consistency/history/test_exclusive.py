"""Recording: one scan of a database at a time, none of an older snapshot, and no half of a scan."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from consistency.history import statements
from consistency.history.locks import AlreadyRunningError, scan_is_running
from consistency.history.recorder import Recorder
from consistency.history.scanning import record_scan
from consistency.history.write import OlderSnapshotError
from consistency.models.history import Anomaly, AnomalyEvent, Scan
from consistency.registry import CHECKS
from consistency.scan.snapshot import begin_snapshot
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, changes, in_days, outcome, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_a_second_scan_of_the_same_database_is_refused_before_it_scans() -> None:
    with Recorder("default", trigger="command", actor="", seconds=10):
        assert (scan_is_running("default"), scan_is_running("archive")) == (True, False)
        with pytest.raises(AlreadyRunningError, match="another scan of database 'default' is under way"):
            recorded()
        with Recorder("archive", trigger="command", actor="", seconds=10) as other:
            assert other.problem is None
    assert not scan_is_running("default")
    assert Scan.objects.count() == 0
    assert changes() == (0, 0, 0, 0)


def test_a_snapshot_older_than_the_last_recorded_one_is_refused() -> None:
    a_file("a", "processing")
    recorded()
    Scan.objects.update(snapshot_at=in_days(1))
    delete_files()
    with pytest.raises(AlreadyRunningError, match="another scan of database 'default' with a later snapshot"):
        recorded()
    assert (Scan.objects.count(), anomaly("a").state) == (1, "new")
    Scan.objects.update(snapshot_at=in_days(-1))
    assert changes() == (0, 0, 1, 0)


def date_snapshots(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    def begin(*arguments: Any) -> datetime:
        begin_snapshot(*arguments)
        return instant

    monkeypatch.setattr("consistency.scan.engine.begin_snapshot", begin)


def test_a_snapshot_of_the_same_instant_is_not_older(monkeypatch: pytest.MonkeyPatch) -> None:
    instant = recorded().report.checked_at
    date_snapshots(monkeypatch, instant)
    recorded()
    assert list(Scan.objects.values_list("snapshot_at", flat=True)) == [instant, instant]


def test_a_snapshot_that_is_a_microsecond_older_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    date_snapshots(monkeypatch, recorded().report.checked_at - timedelta(microseconds=1))
    with pytest.raises(OlderSnapshotError):
        recorded()
    assert Scan.objects.count() == 1


def test_a_recording_that_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("a", "processing")
    monkeypatch.setattr(statements, "COUNT_FINDINGS", "SELECT 1 / 0")
    result = record_scan([CHECKS[STALE]], trigger="command")
    assert (result.scan, result.problem) == (None, "history in database 'default': PostgreSQL refused")
    assert outcome(result).count == 1
    assert not any(model.objects.exists() for model in (Scan, Anomaly, AnomalyEvent))


def test_a_recording_that_is_not_kept_tells_the_changes_and_leaves_nothing() -> None:
    a_file("a", "processing")
    result = recorded(keep=False)
    assert result.scan
    assert result.scan.changes.new == 1
    assert not any(model.objects.exists() for model in (Scan, Anomaly, AnomalyEvent))


def test_a_recorders_connection_that_is_lost_costs_the_recording_and_not_the_report() -> None:
    def terminate(check: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")

    a_file("a", "processing")
    result = record_scan([CHECKS[STALE]], trigger="command", progress=terminate)
    assert (result.scan, result.problem) == (None, "history in database 'default': connection lost")
    assert (outcome(result).count, Scan.objects.count(), Anomaly.objects.count()) == (1, 0, 0)
