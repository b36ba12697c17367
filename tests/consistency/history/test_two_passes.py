"""Two passes: a finding counts if both passes saw it; an open anomaly resolves only if neither did."""

from typing import Any

import psycopg
import pytest
from django.db import connection

from consistency.history.overview import overview
from consistency.history.queries import active_mutes
from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, ScanCheck
from consistency.notices.notice import notice_of
from consistency.registry import CheckError, Finding
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import STALE, anomaly, changes, events, in_days, outcome, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_only_findings_of_both_passes_count(define: Define) -> None:
    calls = 0

    def moving(using: str) -> Any:
        nonlocal calls
        # An external check compares two calls itself: two calls are one pass.
        calls += 1
        names = {1: "ab", 2: "ab", 3: "bc", 4: "bc"}[calls]
        for name in names:
            yield Finding(object_type="thing", object_id=name, detail="moving")

    define("moving", moving, detail=None)
    assert changes("moving", confirm=0.01) == (1, 0, 0, 0)
    assert Anomaly.objects.get().object_id == "b"


def test_a_file_that_changes_its_job_between_two_passes_is_neither_found_nor_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "abc":
        a_file(name, "processing", job=1)
    recorded("orphaned_processing")
    acknowledge([anomaly("a", "orphaned_processing").pk], until=in_days(1), by="ana", reason="known")
    File.objects.filter(pk="c").delete()
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: File.objects.filter(pk="a").update(job_id=2))
    result = recorded("orphaned_processing", confirm=1)
    assert (outcome(result, "orphaned_processing").count, result.report.affected_files) == (1, 1)
    assert result.scan
    assert (result.scan.changes.resolved, result.scan.changes.ongoing, result.scan.changes.kept) == (1, 2, 1)
    kept = anomaly("a", "orphaned_processing")
    assert (kept.state, kept.times_seen, kept.detail) == ("ongoing", 2, "job 1 does not exist")
    assert kept.last_seen == result.report.checked_at
    assert (kept.acknowledged_by, events("a", "orphaned_processing")) == ("ana", ["found", "acknowledged"])
    assert recorded("orphaned_processing").report.affected_files == 2


def test_a_finding_that_appears_beside_an_object_leaves_that_object_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded("duplicate_active_jobs")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: a_job(3, "pending", of="f"))
    assert changes("duplicate_active_jobs", confirm=1) == (0, 0, 0, 2)
    assert anomaly("1", "duplicate_active_jobs").detail == "one of 3 active jobs of file f"
    assert changes("duplicate_active_jobs") == (1, 0, 0, 2)


def test_jobs_of_a_file_that_changes_its_status_between_two_passes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded("duplicate_active_jobs")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: File.objects.update(status="processing"))
    result = recorded("duplicate_active_jobs", confirm=1)
    assert result.scan
    assert (outcome(result, "duplicate_active_jobs").count, result.scan.changes.kept) == (0, 2)
    assert anomaly("1", "duplicate_active_jobs").status == "registered"
    assert changes("duplicate_active_jobs") == (0, 0, 0, 2)


@pytest.mark.parametrize("appears", [True, False])
def test_an_anomaly_of_one_pass_is_not_resolved_whichever_pass_it_was(
    monkeypatch: pytest.MonkeyPatch, appears: bool
) -> None:
    a_file("a", "processing")
    recorded()
    if appears:
        File.objects.update(status="completed")
    # Without a finding in the first pass there is no pause.
    a_file("b", "processing")
    changed = File.objects.filter(pk="a")
    monkeypatch.setattr(
        "consistency.scan.passes.sleep", lambda seconds: changed.update(status="processing" if appears else "completed")
    )
    assert changes(confirm=1) == (1, 0, 0, 1)
    assert anomaly("a").state == "ongoing"
    changed.update(status="completed")
    assert changes() == (0, 0, 1, 1)
    assert anomaly("a").times_seen == 2


@pytest.mark.parametrize(("fails", "error"), [(1, "in the first pass: not today"), (3, "not today")])
def test_a_check_that_fails_in_either_pass_could_not_run(define: Define, fails: int, error: str) -> None:
    calls = 0

    def moody(using: str) -> Any:
        nonlocal calls
        calls += 1
        if calls == fails:
            raise CheckError("not today")
        yield Finding(object_type="thing", object_id="1", detail="moody")

    # An external check compares two calls itself: the third call is the second pass.
    define("moody", moody, detail=None)
    a_file("a", "processing")
    result = recorded("moody", STALE, confirm=0.01)
    assert (outcome(result, "moody").error, outcome(result).count) == (error, 1)
    assert Anomaly.objects.get().check_name == STALE


def test_a_check_that_loses_the_snapshot_costs_only_its_own_result(
    monkeypatch: pytest.MonkeyPatch, define: Define
) -> None:
    calls = 0

    def cut() -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            with psycopg.connect(**connection.get_connection_params()) as other:
                other.execute("DELETE FROM files WHERE file_uuid = 'b'")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return File.objects.none()

    define("cut", cut)
    a_file("a", "processing")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: a_file("b", "processing"))
    result = recorded(STALE, "cut", confirm=1)
    assert outcome(result).count == 1
    assert outcome(result, "cut").error == "the connection to PostgreSQL was lost"
    assert [found.object_id for found in Anomaly.objects.all()] == ["a"]


# --- Suppressions and notices ----------------------------------------------------------------------------
def repair_between(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Repair these files between two passes."""
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: delete_files(pk__in=names))


def test_a_check_with_kept_anomalies_is_not_clean_and_its_mute_keeps_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    mute(STALE, until=in_days(1), by="ana", reason="known")
    repair_between(monkeypatch, "a")
    recorded(confirm=1)
    assert Mute.objects.get().mark == 3
    repair_between(monkeypatch, "b", "c")
    assert outcome(recorded(confirm=1)).count == 0
    running, run = Mute.objects.get(), ScanCheck.objects.latest("id")
    assert (running.ended_at, running.mark, run.outcome, run.count, run.ongoing) == (None, 3, "found", 2, 2)
    recorded()
    assert Mute.objects.get().ended_because == "clean"


@pytest.mark.parametrize(
    ("kept", "reported", "open_after"), [("a", (1, 0, 0, 1), (2, 1, 0, 1)), ("b", (1, 1, 0, 0), (2, 1, 0, 1))]
)
def test_the_overview_counts_kept_anomalies_as_open(
    monkeypatch: pytest.MonkeyPatch,
    kept: str,
    reported: tuple[int, int, int, int],
    open_after: tuple[int, int, int, int],
) -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    repair_between(monkeypatch, kept)
    result = recorded(confirm=1)
    found, [card] = outcome(result), overview().cards
    assert (found.count, found.acknowledged, found.muted, found.unsuppressed) == reported
    assert (card.open, card.acknowledged, card.muted, card.unsuppressed) == open_after
    assert overview().status == "degraded"


def test_a_mute_holds_while_all_anomalies_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("a", "processing")
    recorded()
    running = mute(STALE, until=in_days(1), by="ana", reason="known")
    repair_between(monkeypatch, "a")
    assert outcome(recorded(confirm=1)).count == 0
    assert active_mutes() == [running]
    [card] = overview().cards
    assert (card.open, card.muted, card.unsuppressed) == (1, 1, 0)
    recorded()
    assert active_mutes() == []


def test_the_mark_of_a_mute_counts_kept_anomalies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    repair_between(monkeypatch, "b", "c")
    recorded(confirm=1)
    assert mute(STALE, until=in_days(1), by="ana", reason="known").mark == 3


def test_kept_anomalies_are_no_reason_for_a_notice_until_they_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def notices(**options: Any) -> list[str]:
        notice = notice_of(recorded(**options))
        return [check.kind for check in notice.checks] if notice else []

    a_file("a", "processing")
    a_file("b", "processing")
    assert notices() == ["new"]
    repair_between(monkeypatch, "a", "b")
    assert notices(confirm=1) == []
    for name in "ab":
        a_file(name, "processing")
    assert notices() == []
    assert notices(confirm=1) == []
    assert notices() == ["recovered"]


def test_a_kept_anomaly_that_is_no_longer_suppressed_is_reported_as_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("a", "processing")
    recorded()
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    assert notice_of(recorded()) is None
    Anomaly.objects.update(acknowledged_until=in_days(-0.001))
    repair_between(monkeypatch, "a")
    notice = notice_of(recorded(confirm=1))
    assert notice
    assert [check.kind for check in notice.checks] == ["worse"]
    assert events("a") == ["found", "acknowledged", "acknowledgement_ended"]
