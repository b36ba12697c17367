"""The snapshot: bounded waits, one run at a time, and age that decides."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TypedDict

import pytest

from health import runner
from health.registry import Degraded, Failed, probe
from health.snapshot import Snapshot
from tests.health.conftest import Registry, eventually

Make = Callable[..., Snapshot]
PATIENT = 30.0


class Values(TypedDict):
    answer: int


class Gate:
    """Something to wait for that only the test opens; counts who came."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.visits = 0

    def wait(self) -> None:
        self.visits += 1
        self.open.wait(PATIENT)


@pytest.fixture
def gate() -> "Gate":
    return Gate()


def threads_of(name: str) -> int:
    return sum(thread.name == f"probe {name}" for thread in threading.enumerate())


# --- What an outcome becomes -----------------------------------------------------------------------------
def test_returning_is_healthy(registry: Registry, snapshot_of: Make) -> None:
    @probe("well", ttl=1.0, section="well", registry=registry)
    def well() -> Values:
        """Well."""
        return {"answer": 42}

    verdict = snapshot_of(registry).ask(budget=PATIENT)["well"]
    assert (verdict.status, verdict.reason, verdict.value) == ("ok", None, {"answer": 42})
    assert verdict.latency_ms >= 1
    assert verdict.known


@pytest.mark.parametrize(("outcome", "status"), [(Degraded, "degraded"), (Failed, "error")])
def test_our_own_exceptions_speak_and_keep_what_was_found_out(
    registry: Registry, snapshot_of: Make, outcome: type[Degraded] | type[Failed], status: str
) -> None:
    @probe("ill", ttl=1.0, section="ill", registry=registry)
    def ill() -> Values:
        """Ill."""
        raise outcome("it has a cold", {"answer": 41})

    verdict = snapshot_of(registry).ask(budget=PATIENT)["ill"]
    assert (verdict.status, verdict.reason, verdict.value) == (status, "it has a cold", {"answer": 41})
    assert verdict.known


def test_any_other_exception_is_logged_once_and_never_told(
    registry: Registry, snapshot_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    @probe("bug", ttl=0.01, registry=registry)
    def bug() -> None:
        """Bug."""
        raise KeyError("password=hunter2 host=10.0.0.7")

    snapshot = snapshot_of(registry)
    for _ in range(3):
        verdict = snapshot.ask(budget=PATIENT, fresh=True)["bug"]
        assert (verdict.status, verdict.reason, verdict.known) == ("error", "unexpected error", False)
    assert sum("failed unexpectedly" in record.message for record in caplog.records) == 1
    assert "hunter2" in caplog.text


def test_slow_three_times_in_a_row_is_degraded(
    registry: Registry, snapshot_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("health.attempt.SLOW_MS", 20)
    pace = {"seconds": 0.03}

    @probe("slow", ttl=1.0, registry=registry)
    def slow() -> None:
        """Slow."""
        time.sleep(pace["seconds"])

    snapshot = snapshot_of(registry)
    statuses = [snapshot.ask(budget=PATIENT, fresh=True)["slow"].status for _ in range(4)]
    assert statuses == ["ok", "ok", "degraded", "degraded"]
    pace["seconds"] = 0.0
    assert snapshot.ask(budget=PATIENT, fresh=True)["slow"].status == "ok"


# --- Bounds ----------------------------------------------------------------------------------------------
def test_a_probe_that_hangs_is_walked_away_from_and_leaves_one_thread(
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
        verdicts = snapshot.ask(budget=PATIENT)
        assert time.monotonic() - begin < 5
        assert verdicts["well"].status == "ok"
        assert verdicts["stuck"].status == "error"
        assert verdicts["stuck"].reason == "no answer for 1 s"
    assert (gate.visits, threads_of("stuck")) == (1, 1)
    gate.open.set()
    assert eventually(lambda: snapshot.ask(budget=PATIENT)["stuck"].status == "ok")


def test_the_budget_ends_the_wait_before_the_deadline_does(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("stuck", ttl=1.0, deadline=PATIENT, registry=registry)
    def stuck() -> None:
        """Stuck."""
        gate.wait()

    begin = time.monotonic()
    verdict = snapshot_of(registry).ask(budget=0.2)["stuck"]
    assert time.monotonic() - begin < 5
    assert (verdict.status, verdict.reason, verdict.known) == ("error", "no answer yet", False)
    gate.open.set()


def test_making_a_client_is_not_counted_as_the_servers_time(registry: Registry, snapshot_of: Make) -> None:
    def import_something_big() -> object:
        time.sleep(0.6)
        return object()

    @probe("big", ttl=1.0, deadline=0.3, registry=registry, client=import_something_big)
    def big(client: object) -> None:
        """Big."""

    verdict = snapshot_of(registry).ask(budget=PATIENT)["big"]
    assert verdict.status == "ok"
    assert verdict.latency_ms < 300


def test_an_answer_does_not_grow_old_while_its_asker_waits_for_others(registry: Registry, snapshot_of: Make) -> None:
    @probe("quick", ttl=0.05, deadline=0.05, registry=registry)
    def quick() -> None:
        """Quick."""

    @probe("late", ttl=1.0, registry=registry)
    def late() -> None:
        """Late."""
        time.sleep(0.4)

    assert snapshot_of(registry).ask(["late", "quick"], budget=PATIENT)["quick"].status == "ok"


# --- Single flight, freshness ----------------------------------------------------------------------------
def test_who_comes_during_a_run_takes_its_result(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("busy", ttl=0.01, deadline=PATIENT, registry=registry)
    def busy() -> None:
        """Busy."""
        gate.wait()

    snapshot = snapshot_of(registry)
    found: list[str] = []
    askers = [
        threading.Thread(target=lambda: found.append(snapshot.ask(budget=PATIENT)["busy"].status)) for _ in range(8)
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


def test_an_answer_younger_than_its_ttl_is_not_asked_for_again(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("cheap", ttl=PATIENT, registry=registry)
    def cheap() -> None:
        """Cheap."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    for _ in range(5):
        snapshot.ask(budget=PATIENT)
    assert len(runs) == 1


def test_an_answer_older_than_its_ttl_is_asked_for_again(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("cheap", ttl=0.02, registry=registry)
    def cheap() -> None:
        """Cheap."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    for _ in range(3):
        snapshot.ask(budget=PATIENT)
        time.sleep(0.05)
    assert len(runs) == 3


def test_fresh_waits_for_a_run_that_began_after_it(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    truth = {"answer": 1}

    @probe("truth", ttl=PATIENT, deadline=PATIENT, section="truth", registry=registry)
    def tell() -> Values:
        """Truth."""
        found = truth["answer"]
        gate.wait()
        return {"answer": found}

    snapshot = snapshot_of(registry)
    early = threading.Thread(target=lambda: snapshot.ask(budget=PATIENT))
    early.start()
    assert eventually(lambda: gate.visits)
    truth["answer"] = 2
    threading.Timer(0.1, gate.open.set).start()
    assert snapshot.ask(budget=PATIENT, fresh=True)["truth"].value == {"answer": 2}
    early.join()


def test_fresh_forgets_what_was_kept(registry: Registry, snapshot_of: Make) -> None:
    made: list[object] = []

    def memory() -> object:
        made.append(object())
        return made[-1]

    @probe("kept", ttl=0.01, registry=registry, client=memory)
    def kept(client: object) -> None:
        """Kept."""
        assert client is made[-1]

    snapshot = snapshot_of(registry)
    for _ in range(3):
        assert snapshot.ask(budget=PATIENT)["kept"].status == "ok"
        time.sleep(0.05)
    assert len(made) == 1
    snapshot.ask(budget=PATIENT, fresh=True)
    assert len(made) == 2


def test_a_client_is_closed_after_an_error_and_made_anew(registry: Registry, snapshot_of: Make) -> None:
    class Client:
        closed = False

        def close(self) -> None:
            self.closed = True

    made: list[Client] = []

    def connect() -> Client:
        made.append(Client())
        return made[-1]

    @probe("shaky", ttl=0.01, registry=registry, client=connect)
    def shaky(client: Client) -> None:
        """Shaky."""
        if client is made[0]:
            raise ConnectionResetError(104, "reset by peer")

    snapshot = snapshot_of(registry)
    assert snapshot.ask(budget=PATIENT)["shaky"].reason == "connection reset by peer"
    time.sleep(0.05)
    assert snapshot.ask(budget=PATIENT)["shaky"].status == "ok"
    assert [client.closed for client in made] == [True, False]


def test_a_client_whose_probe_overran_is_closed_from_outside(registry: Registry, snapshot_of: Make) -> None:
    class Client:
        def __init__(self) -> None:
            self.closed = threading.Event()

        def close(self) -> None:
            self.closed.set()

    @probe("drip", ttl=1.0, deadline=0.1, registry=registry, client=Client)
    def drip(client: Client) -> None:
        """Drip."""
        assert client.closed.wait(PATIENT)
        raise OSError("closed under me")

    snapshot = snapshot_of(registry)
    snapshot.ask(budget=PATIENT)
    assert eventually(lambda: snapshot.verdict("drip").reason == "no answer within 0.1 s")


# --- Dependencies ----------------------------------------------------------------------------------------
def test_what_needs_a_failed_probe_is_skipped(registry: Registry, snapshot_of: Make) -> None:
    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        raise Failed("gone")

    @probe("above", ttl=1.0, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""
        pytest.fail("asked although its base is down")

    assert snapshot_of(registry).ask(["above"], budget=PATIENT)["above"].reason == "skipped: base is down"


def test_what_was_skipped_is_asked_as_soon_as_the_failed_probe_is_back(registry: Registry, snapshot_of: Make) -> None:
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
    assert snapshot.ask(["above"], budget=PATIENT)["above"].status == "error"
    time.sleep(0.01)  # past the TTL of what failed, far from that of what was skipped
    assert snapshot.ask(["above"], budget=PATIENT)["above"].status == "ok"


def test_what_needs_a_degraded_probe_is_asked(registry: Registry, snapshot_of: Make) -> None:
    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        raise Degraded("slow")

    @probe("above", ttl=1.0, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""

    assert snapshot_of(registry).ask(budget=PATIENT)["above"].status == "ok"


def test_a_dependency_that_hangs_does_not_hold_up_the_rest(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("base", ttl=0.1, deadline=0.2, registry=registry)
    def base() -> None:
        """Base."""
        gate.wait()

    @probe("above", ttl=0.1, requires=("base",), registry=registry)
    def above() -> None:
        """Above."""

    begin = time.monotonic()
    verdicts = snapshot_of(registry).ask(budget=PATIENT)
    assert time.monotonic() - begin < 5
    assert verdicts["above"].reason == "skipped: base is down"
    gate.open.set()


def test_fresh_asks_a_dependency_once(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("base", ttl=1.0, registry=registry)
    def base() -> None:
        """Base."""
        runs.append(1)

    for name in ("one", "two"):

        @probe(name, ttl=1.0, requires=("base",), registry=registry)
        def above() -> None:
            """Above."""

    snapshot_of(registry).ask(budget=PATIENT, fresh=True)
    assert len(runs) == 1


# --- Age and the refresher -------------------------------------------------------------------------------
def test_an_old_ok_is_not_believed(registry: Registry, snapshot_of: Make) -> None:
    @probe("once", ttl=0.1, deadline=0.1, registry=registry)
    def once() -> None:
        """Once."""

    snapshot = snapshot_of(registry)
    assert snapshot.ask(budget=PATIENT)["once"].status == "ok"
    assert eventually(lambda: snapshot.verdict("once").reason == "no answer for 1 s")
    assert not snapshot.known_down("once"), "silence is no proof"


def test_the_refresher_keeps_the_essential_young_and_leaves_the_rest(registry: Registry, snapshot_of: Make) -> None:
    runs = {"vital": 0, "idle": 0}

    @probe("vital", ttl=0.3, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        runs["vital"] += 1

    @probe("idle", ttl=0.3, registry=registry)
    def idle() -> None:
        """Idle."""
        runs["idle"] += 1

    snapshot = snapshot_of(registry)
    snapshot.ensure()
    assert eventually(lambda: runs["vital"] >= 4)
    assert snapshot.status() == "ok"
    assert runs["idle"] == 0


def test_the_refresher_survives_what_goes_wrong_in_it(
    registry: Registry, snapshot_of: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    @probe("vital", ttl=0.2, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    whole = runner.Runner.request
    broken = threading.Event()

    def request(self: runner.Runner, **options: object) -> int:
        if threading.current_thread().name == "probe refresher" and not broken.is_set():
            broken.set()
            raise RuntimeError("stumbled")
        return whole(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runner.Runner, "request", request)
    snapshot.ensure()
    assert broken.wait(PATIENT)
    before = len(runs)
    assert eventually(lambda: len(runs) > before + 1)
    assert "stumbled" in caplog.text


def test_a_refresher_that_died_is_started_anew(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("vital", ttl=0.2, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    snapshot.ensure()
    snapshot._stop.set()
    assert snapshot._refresher is not None
    snapshot._refresher.join(PATIENT)
    snapshot._stop = threading.Event()
    before = len(runs)
    snapshot.ensure()
    assert eventually(lambda: len(runs) > before)


def test_the_first_answer_waits_for_the_first_round(registry: Registry, snapshot_of: Make) -> None:
    @probe("vital", ttl=1.0, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        time.sleep(0.2)

    snapshot = snapshot_of(registry)
    assert snapshot.status() == "degraded", "nothing is known yet"
    snapshot.ensure()
    assert snapshot.status() == "ok"
    assert snapshot.is_ready()


def test_the_first_answer_waits_no_longer_than_a_second_and_only_once(
    registry: Registry, snapshot_of: Make, gate: Gate
) -> None:
    @probe("vital", ttl=1.0, deadline=PATIENT, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        gate.wait()

    snapshot = snapshot_of(registry)
    begin = time.monotonic()
    for _ in range(20):
        snapshot.ensure()
    assert 0.5 < time.monotonic() - begin < 5
    assert not snapshot.is_ready()
    assert snapshot.status() == "degraded"
    gate.open.set()


def test_known_down_is_only_what_a_young_verdict_says(registry: Registry, snapshot_of: Make) -> None:
    world = {"well": True}

    @probe("base", ttl=0.3, essential=True, registry=registry)
    def base() -> None:
        """Base."""
        if not world["well"]:
            raise Failed("gone")

    snapshot = snapshot_of(registry)
    assert not snapshot.known_down("base"), "nothing is known yet"
    snapshot.ensure()
    assert not snapshot.known_down("base")
    world["well"] = False
    assert eventually(lambda: snapshot.known_down("base"))
    world["well"] = True
    assert eventually(lambda: not snapshot.known_down("base"))


def test_a_draining_server_is_not_ready(registry: Registry, snapshot_of: Make) -> None:
    snapshot = snapshot_of(registry)
    assert snapshot.is_ready()
    snapshot.draining = True
    assert not snapshot.is_ready()


def test_closing_ends_the_threads(registry: Registry, snapshot_of: Make) -> None:
    @probe("brief", ttl=0.2, essential=True, registry=registry)
    def brief() -> None:
        """Brief."""

    snapshot = snapshot_of(registry)
    snapshot.ensure()
    assert threads_of("brief") == 1
    snapshot.close()
    assert threads_of("brief") == 0
    assert snapshot.ask(budget=PATIENT)["brief"].status == "ok", "it can be used again"


FORK = """
import os, sys, threading, time
import django
django.setup()
from health.registry import PROBES, probe
from health.snapshot import snapshot
PROBES.clear()
@probe("vital", ttl=0.3, essential=True)
def vital() -> None:
    "Vital."
snapshot.ensure()
assert snapshot.status() == "ok"
with snapshot._lock, snapshot._runner("vital")._turn:   # as if another thread held them at the moment of the fork
    child = os.fork()
if child == 0:
    assert snapshot.verdict("vital").reason == "no answer yet", "a child knows nothing by itself"
    snapshot.ensure()
    time.sleep(1.5)                                      # longer than an answer is believed
    os._exit(0 if snapshot.status() == "ok" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), snapshot.status())
"""


def test_a_forked_child_starts_anew_and_is_refreshed() -> None:
    # Python 3.12 and later warn of every fork beside threads, which is what is tried here.
    known = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *known, "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0 ok", "")
