"""Retention: old scans and anomalies go, in batches, and nobody waits for it."""

import time
from typing import Any
from unittest import mock

import pytest

from consistency.history import retention
from consistency.history.locks import LOCK
from consistency.history.retention import prune
from consistency.models.history import Anomaly, AnomalyEvent, Scan, ScanCheck
from consistency.scan.selection import default_checks
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, changes, holding, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

TIME_LIMIT = 20.0
"""Generous seconds for a busy machine."""


def test_scans_and_resolved_anomalies_are_deleted_after_their_days(settings: Any) -> None:
    names = [check.name for check in default_checks()]
    a_file("a", "processing", job=1)
    a_file("b", "processing", job=1)
    recorded(*names)
    delete_files(pk="a")
    recorded(*names)
    old = in_days(-settings.CONSISTENCY_KEEP_RESOLVED - 1)
    Anomaly.objects.filter(object_id="a").update(resolved_at=old)
    Scan.objects.update(recorded_at=old)
    recorded(*names)
    prune()
    assert (Scan.objects.count(), ScanCheck.objects.count()) == (1, 4)
    assert [found.object_id for found in Anomaly.objects.all()] == ["b"]
    assert set(AnomalyEvent.objects.values_list("anomaly__object_id", flat=True)) == {"b"}


def test_history_within_its_days_stays() -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    recorded()
    recorded()
    prune()
    assert (Scan.objects.count(), Anomaly.objects.count(), AnomalyEvent.objects.count()) == (3, 1, 2)


def test_the_last_run_of_a_check_stays_since_its_anomalies_are_counted_from_that_run() -> None:
    names = [check.name for check in default_checks()]
    a_file("a", "processing")
    recorded()
    recorded()
    recorded(*(name for name in names if name != STALE))
    Scan.objects.update(recorded_at=in_days(-1000))
    before = (anomaly("a").state, anomaly("a").times_seen, anomaly("a").last_seen)
    prune()
    assert (anomaly("a").state, anomaly("a").times_seen, anomaly("a").last_seen) == before
    assert changes() == (0, 0, 0, 1)
    assert (anomaly("a").state, anomaly("a").times_seen) == ("ongoing", 3)


def three_old_scans_and_three_old_anomalies() -> None:
    """Record five scans. The first stays, since none was complete; the last stays, since it is the last run."""
    for name in "abc":
        a_file(name, "processing")
    for _ in range(3):
        recorded()
    delete_files()
    recorded()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    Scan.objects.update(recorded_at=in_days(-1000))


def prune_batches(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Prune batches of one row each."""
    budget = mock.Mock(remaining=mock.Mock(side_effect=[*[1.0] * batches, 0.0]))
    monkeypatch.setattr(retention, "BATCH_SIZE", 1)
    monkeypatch.setattr(retention, "Budget", lambda seconds: budget)
    prune()


@pytest.mark.parametrize(("batches", "remaining"), [(1, (4, 2)), (5, (2, 0))])
def test_batches_of_scans_and_anomalies_are_deleted_while_there_is_time(
    monkeypatch: pytest.MonkeyPatch, batches: int, remaining: tuple[int, int]
) -> None:
    three_old_scans_and_three_old_anomalies()
    prune_batches(monkeypatch, batches)
    assert (Scan.objects.count(), Anomaly.objects.count()) == remaining


def test_the_oldest_are_deleted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    three_old_scans_and_three_old_anomalies()
    first, *old, last = Scan.objects.order_by("pk").values_list("pk", flat=True)
    for pk, days in zip(old, (1000, 1002, 1001), strict=True):
        Scan.objects.filter(pk=pk).update(recorded_at=in_days(-days))
    # Anomalies go in the order in which they were resolved.
    resolved = list(Anomaly.objects.order_by("resolved_event").values_list("object_id", flat=True))
    for number, kept in enumerate(({0, 2}, {0}, set[int]()), start=1):
        prune_batches(monkeypatch, 1)
        assert set(Scan.objects.values_list("pk", flat=True)) == {first, last} | {old[position] for position in kept}
        assert set(Anomaly.objects.values_list("object_id", flat=True)) == set(resolved[number:])


def test_each_database_keeps_its_last_complete_scan_or_else_its_first() -> None:
    names = [check.name for check in default_checks()]
    for database, complete in [("default", True), ("default", True), ("replica", False), ("replica", False)]:
        recorded(*names)
        scan = Scan.objects.latest("pk")
        scan.checks.update(database=database)
        Scan.objects.filter(pk=scan.pk).update(database=database, complete=complete)
    recorded(STALE)
    Scan.objects.update(recorded_at=in_days(-1000))
    _, complete_scan, first_of_replica, last_of_replica, last = Scan.objects.order_by("pk").values_list("pk", flat=True)
    prune()
    # The last runs of checks stay too.
    kept = {complete_scan, first_of_replica, last_of_replica, last}
    assert set(Scan.objects.values_list("pk", flat=True)) == kept


# --- Locks of other sessions -------------------------------------------------------------------------------
def test_an_anomaly_that_another_session_holds_is_deleted_later() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    delete_files()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    begun = time.monotonic()
    with holding("SELECT FROM consistency_anomaly WHERE object_id = 'a' FOR UPDATE"):
        prune()
        assert Anomaly.objects.filter(object_id="a").exists()
    assert time.monotonic() - begun < TIME_LIMIT
    prune()
    assert not Anomaly.objects.exists()
    assert not AnomalyEvent.objects.exists()


def test_a_scan_that_another_session_holds_is_deleted_later() -> None:
    a_file("a", "processing")
    for _ in range(3):
        recorded()
    first, held, last = Scan.objects.order_by("pk").values_list("pk", flat=True)
    Scan.objects.exclude(pk=last).update(recorded_at=in_days(-1000))
    begun = time.monotonic()
    with holding(f"SELECT FROM consistency_scancheck WHERE scan_id = {held} FOR UPDATE"):
        prune()
    assert time.monotonic() - begun < TIME_LIMIT
    assert set(Scan.objects.values_list("pk", flat=True)) == {first, held, last}
    assert ScanCheck.objects.count() == 3
    prune()
    assert set(Scan.objects.values_list("pk", flat=True)) == {first, last}


@pytest.mark.parametrize("table", ["scan", "anomaly"])
def test_pruning_does_not_wait_for_a_locked_table(table: str) -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    begun = time.monotonic()
    with holding(f"LOCK TABLE consistency_{table} IN ACCESS EXCLUSIVE MODE"):
        prune()
    assert time.monotonic() - begun < TIME_LIMIT
    assert Anomaly.objects.exists()
    prune()
    assert not Anomaly.objects.exists()


def test_pruning_does_not_wait_for_a_recording() -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    with holding(f"SELECT pg_advisory_xact_lock({LOCK}, 0)"):
        prune()
    assert Anomaly.objects.exists()
