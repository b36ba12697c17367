"""The runs of probes: bounded waits, one run at a time, TTLs, and required probes."""

import threading
import time

import pytest

from health.registry import Degraded, Failed, probe
from tests.health.conftest import PATIENT, Gate, Make, Registry, Values, eventually, threads_of


def test_a_probe_that_hangs_delays_nobody_and_leaves_one_thread(
    registry: Registry, snapshot_of: Make, gate: Gate
) -> None:
    @probe("stuck", ttl=0.1, deadline=0.2, registry=registry)
    def stuck() -> None:
        """Stuck."""
        gate.wait()

    @probe("well", ttl=0.1, registry=registry)
    def well() -> None:
        """Well."""

    snapshot = snapshot_of(registry)
    for _ in range(5):
        begin = time.monotonic()
        results = snapshot.refresh(budget=PATIENT)
        assert time.monotonic() - begin < 5
        assert results["well"].status == "ok"
        assert results["stuck"].status == "error"
        assert results["stuck"].reason == "no answer within 0.2 s"
    assert (gate.visits, threads_of("stuck")) == (1, 1)
    gate.open.set()
    assert eventually(lambda: snapshot.refresh(budget=PATIENT)["stuck"].status == "ok")


def test_the_budget_ends_the_wait_before_the_deadline_does(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("stuck", ttl=1.0, deadline=PATIENT, registry=registry)
    def stuck() -> None:
        """Stuck."""
        gate.wait()

    begin = time.monotonic()
    result = snapshot_of(registry).refresh(budget=0.2)["stuck"]
    assert time.monotonic() - begin < 5
    assert (result.status, result.reason, result.known) == ("error", "no answer yet", False)
    gate.open.set()


def test_a_result_does_not_expire_while_its_caller_waits_for_other_probes(
    registry: Registry, snapshot_of: Make
) -> None:
    @probe("quick", ttl=0.05, deadline=0.05, registry=registry)
    def quick() -> None:
        """Quick."""

    @probe("late", ttl=1.0, registry=registry)
    def late() -> None:
        """Late."""
        time.sleep(0.4)

    assert snapshot_of(registry).refresh(["late", "quick"], budget=PATIENT)["quick"].status == "ok"


def test_callers_during_a_run_share_its_result(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("busy", ttl=0.01, deadline=PATIENT, registry=registry)
    def busy() -> None:
        """Busy."""
        gate.wait()

    snapshot = snapshot_of(registry)
    found: list[str] = []
    askers = [
        threading.Thread(target=lambda: found.append(snapshot.refresh(budget=PATIENT)["busy"].status)) for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    assert eventually(lambda: gate.visits)
    time.sleep(0.1)
    gate.open.set()
    for asker in askers:
        asker.join()
    assert found == ["ok"] * 8
    assert gate.visits <= 2, "only who comes after the run may begin another"


def test_a_result_younger_than_its_ttl_is_not_run_again(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("cheap", ttl=PATIENT, registry=registry)
    def cheap() -> None:
        """Cheap."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    for _ in range(5):
        snapshot.refresh(budget=PATIENT)
    assert len(runs) == 1


def test_a_result_older_than_its_ttl_is_run_again(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("cheap", ttl=0.02, registry=registry)
    def cheap() -> None:
        """Cheap."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    for _ in range(3):
        snapshot.refresh(budget=PATIENT)
        time.sleep(0.05)
    assert len(runs) == 3


def test_a_fresh_refresh_waits_for_a_run_that_began_later(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    truth = {"answer": 1}

    @probe("truth", ttl=PATIENT, deadline=PATIENT, section="truth", registry=registry)
    def tell() -> Values:
        """Truth."""
        found = truth["answer"]
        gate.wait()
        return {"answer": found}

    snapshot = snapshot_of(registry)
    early = threading.Thread(target=lambda: snapshot.refresh(budget=PATIENT))
    early.start()
    assert eventually(lambda: gate.visits)
    truth["answer"] = 2
    threading.Timer(0.1, gate.open.set).start()
    assert snapshot.refresh(budget=PATIENT, fresh=True)["truth"].value == {"answer": 2}
    early.join()


def test_a_probe_that_requires_a_failed_probe_is_skipped(registry: Registry, snapshot_of: Make) -> None:
    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        raise Failed("gone")

    @probe("above", ttl=1.0, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""
        pytest.fail("asked although its base is down")

    assert snapshot_of(registry).refresh(["above"], budget=PATIENT)["above"].reason == "skipped: base is down"


def test_a_skipped_probe_runs_as_soon_as_the_required_probe_is_back(registry: Registry, snapshot_of: Make) -> None:
    reasons = ["gone"]

    @probe("base", ttl=0.001, registry=registry)
    def base() -> None:
        """Base."""
        if reasons:
            raise Failed(reasons.pop())

    @probe("above", ttl=PATIENT, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""

    snapshot = snapshot_of(registry)
    assert snapshot.refresh(["above"], budget=PATIENT)["above"].status == "error"
    time.sleep(0.01)  # past the TTL of what failed, far from that of what was skipped
    assert snapshot.refresh(["above"], budget=PATIENT)["above"].status == "ok"


def test_a_probe_that_requires_a_degraded_probe_runs(registry: Registry, snapshot_of: Make) -> None:
    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        raise Degraded("slow")

    @probe("above", ttl=1.0, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""

    assert snapshot_of(registry).refresh(budget=PATIENT)["above"].status == "ok"


def test_a_required_probe_that_hangs_delays_nobody(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("base", ttl=0.1, deadline=0.2, registry=registry)
    def base() -> None:
        """Base."""
        gate.wait()

    @probe("above", ttl=0.1, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""

    begin = time.monotonic()
    results = snapshot_of(registry).refresh(budget=PATIENT)
    assert time.monotonic() - begin < 5
    assert results["above"].reason == "skipped: base is down"
    gate.open.set()


def test_a_fresh_refresh_runs_a_required_probe_once(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        runs.append(1)

    for name in ("one", "two"):

        @probe(name, ttl=1.0, requires=("base",), registry=registry)
        def above() -> None:
            """Above."""

    snapshot_of(registry).refresh(budget=PATIENT, fresh=True)
    assert len(runs) == 1


def test_a_change_of_the_seconds_alone_is_not_logged(
    registry: Registry, snapshot_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = iter(range(1, 99))

    @probe("silent", ttl=0.01, registry=registry)
    def silent() -> None:
        """Silent."""
        raise Failed(f"no answer within {next(seconds)}.5 s")

    snapshot = snapshot_of(registry)
    for _ in range(3):
        snapshot.refresh(budget=PATIENT, fresh=True)
    assert sum("silent is error" in record.getMessage() for record in caplog.records) == 1


# --- Since when ------------------------------------------------------------------------------------------
def test_a_result_carries_the_time_of_the_last_change_of_the_status(registry: Registry, snapshot_of: Make) -> None:
    reasons = iter(["", "", "gone", "still gone", ""])

    @probe("base", ttl=0.01, registry=registry)
    def base() -> None:
        """Base."""
        if reason := next(reasons):
            raise Failed(reason)

    snapshot = snapshot_of(registry)
    first, same, gone, still, back = (snapshot.refresh(budget=PATIENT, fresh=True)["base"] for _ in range(5))
    assert (first.since, same.since) == (None, None), "no change is known"
    assert gone.since == gone.checked_at
    assert still.since == gone.since, "another reason is no other status"
    assert back.since == back.checked_at


def test_a_run_without_answer_is_dated_by_the_last_answer(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    gate.open.set()

    @probe("stuck", ttl=0.1, deadline=0.1, registry=registry)
    def stuck() -> None:
        """Stuck."""
        gate.wait()

    snapshot = snapshot_of(registry)
    answer = snapshot.refresh(budget=PATIENT)["stuck"]
    gate.open.clear()
    snapshot.refresh(budget=PATIENT, fresh=True)
    assert eventually(lambda: snapshot.result("stuck").reason == "no answer within 0.1 s")
    assert snapshot.result("stuck").since == answer.checked_at
    gate.open.set()
