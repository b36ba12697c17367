"""The lateness of this process: the measure, and results of probes while this process is late."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest

from config.demo.process import ROOT
from health import lateness as module
from health import report
from health.lateness import Lateness, lateness
from health.registry import PROBES, probe
from health.runs.executor import OVERLOADED
from health.snapshot import Snapshot
from tests.health.conftest import PATIENT, Gate, Make, Registry, delay, eventually

World = dict[str, Any]


# --- The measure -----------------------------------------------------------------------------------------
def test_simultaneous_delays_count_once_and_only_since_the_instant() -> None:
    measured = Lateness()
    measured.observe(2.0)
    measured.observe(1.0)
    assert 1.9 < measured.late() < 2.5
    assert 0.4 < measured.late(time.monotonic() - 0.5) < 0.6


def test_short_delays_do_not_count() -> None:
    measured = Lateness()
    for _ in range(100):
        measured.observe(module.JITTER)
    measured.observe(module.LATE - 0.01)
    assert measured.late() == 0


def test_a_delay_counts_before_the_thread_wakes_up() -> None:
    measured, stop = Lateness(), threading.Event()
    waiting = threading.Thread(target=measured.wait, args=(stop, -1.0), daemon=True)  # as if due a second ago
    stop.wait = lambda timeout=None: threading.Event.wait(stop)  # type: ignore[method-assign]
    waiting.start()
    assert eventually(lambda: measured.late() > 0.9)
    stop.set()
    waiting.join()


def test_lateness_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECENT", 1.0)
    caplog.set_level("INFO")
    measured, stop = Lateness(), threading.Event()
    measured.observe(0.9)

    def has_ended() -> bool:
        measured.wait(stop, 0.01)
        return "on time again" in caplog.text

    assert eventually(has_ended, PATIENT)
    lines = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert lines == ["This process is overloaded, 0.9 s late.", "This process is on time again."]


# --- Results ---------------------------------------------------------------------------------------------
@pytest.fixture
def world() -> World:
    """Return the state that the probe `base` meets: an exception, and the lateness of this process."""
    return {"raises": None, "late": 0.0, "runs": 0}


@pytest.fixture
def base(registry: Registry, snapshot_of: Make, world: World) -> Snapshot:
    """Return a running snapshot of one essential probe."""

    @probe("base", ttl=0.4, deadline=0.4, essential=True, registry=registry)
    def base() -> None:
        """Base."""
        world["runs"] += 1
        delay(world["late"])
        if world["raises"]:
            raise world["raises"]

    snapshot = snapshot_of(registry)
    snapshot.ensure_started()
    assert snapshot.result("base").status == "ok"
    return snapshot


def statuses(snapshot: Snapshot, until: Callable[[], object]) -> set[str]:
    """Return every status until the condition holds."""
    seen = set()

    def holds() -> object:
        seen.add(snapshot.result("base").status)
        seen.add(snapshot.refresh(budget=PATIENT)["base"].status)
        assert not snapshot.known_down("base")
        return until()

    assert eventually(holds, PATIENT)
    return seen


def test_a_missed_deadline_of_a_late_process_is_no_error(base: Snapshot, world: World) -> None:
    before = base.result("base")
    world |= {"raises": TimeoutError("no answer"), "late": 0.3, "runs": 0}
    assert eventually(lambda: world["runs"])
    assert statuses(base, lambda: base.result("base").reason == OVERLOADED) == {"ok", "degraded"}
    assert time.monotonic() - before.measured > 0.8, "the last result counts until TTL plus deadline"
    assert (base.result("base").known, base.status()) == (False, "degraded")
    runs = world["runs"]
    assert statuses(base, lambda: world["runs"] > runs + 3) == {"degraded"}
    world |= {"raises": None, "late": 0.0}
    assert eventually(lambda: base.status() == "ok")


def test_a_missed_deadline_is_an_error_if_this_process_was_on_time(base: Snapshot, world: World) -> None:
    world["raises"] = TimeoutError("no answer")
    assert eventually(lambda: base.known_down("base"))
    assert base.result("base").reason == "no answer within 0 s"


def test_a_refusal_is_an_error_at_once_and_stays_an_error(base: Snapshot, world: World) -> None:
    world |= {"raises": ConnectionRefusedError(111, "refused"), "late": 0.3}
    assert eventually(lambda: base.result("base").reason == "connection refused")
    assert base.known_down("base")
    world |= {"raises": TimeoutError("no answer"), "runs": 0}
    assert eventually(lambda: world["runs"] > 3)
    assert base.known_down("base"), "an outage under load does not end without an answer"


def test_a_late_refusal_is_a_refusal(registry: Registry, snapshot_of: Make) -> None:
    @probe("away", ttl=1.0, deadline=0.5, client=StringIO, registry=registry)
    def away(client: StringIO) -> None:
        """Away."""
        for _ in range(10):
            lateness.observe(1.0)
            time.sleep(0.1)
        raise ConnectionResetError(104, "reset")

    snapshot = snapshot_of(registry)
    snapshot.refresh(budget=PATIENT)
    assert eventually(lambda: snapshot.result("away").reason == "connection reset by peer")


def test_a_probe_that_hangs_is_an_error_after_the_lateness(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    gate.open.set()

    @probe("stuck", ttl=0.2, deadline=0.2, essential=True, registry=registry)
    def stuck() -> None:
        """Stuck."""
        gate.wait()

    snapshot = snapshot_of(registry)
    snapshot.ensure_started()
    gate.open.clear()
    runner, seen = snapshot._runner("stuck"), set()

    def is_degraded() -> bool:
        lateness.observe(1.0)
        seen.add(snapshot.result("stuck").status)
        return runner.executor.is_overdue() and snapshot.result("stuck").reason == OVERLOADED

    assert eventually(is_degraded, PATIENT)
    assert seen == {"ok", "degraded"}
    assert eventually(lambda: snapshot.known_down("stuck"))
    gate.open.set()


# --- Processes -------------------------------------------------------------------------------------------
SAMPLE = """
import json, sys, threading, time
import django
django.setup()
from health.snapshot import snapshot
NAMES = ("postgres", "redis", "qdrant")
while snapshot.status() != "ok":
    snapshot.refresh(NAMES, budget=1)
seen, stop = set(), threading.Event()
def sample():
    while not stop.is_set():
        for name in NAMES:
            result = snapshot.result(name)
            seen.add(result.status if result.status != "error" else f"{name}: {result.reason}")
        time.sleep(0.01)
sampling = threading.Thread(target=sample)
sampling.start()
print("ready", flush=True)
"""
STOPPED = "sys.stdin.readline()"
STARVED = """
# Each of the busy threads keeps the GIL for 0.4 s, and a run of a probe needs the GIL several times.
sys.setswitchinterval(0.4)
until = time.monotonic() + 12
def burn():
    while time.monotonic() < until:
        pass
threads = [threading.Thread(target=burn) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.setswitchinterval(0.005)
"""
END = """
until = time.monotonic() + 60
while not (recovered := snapshot.status() == "ok") and time.monotonic() < until:
    time.sleep(0.05)
stop.set()
sampling.join()
print(json.dumps([sorted(seen), recovered]))
"""


@pytest.fixture
def sampling() -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Return a function that starts a process, which collects the statuses of the run's servers."""
    started: list[subprocess.Popen[str]] = []

    def start(middle: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", SAMPLE + middle + END]
        started.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout
        assert started[-1].stdout.readline() == "ready\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["stopped", "starved"])
def test_a_process_without_cpu_time_blames_no_server(
    sampling: Callable[[str], "subprocess.Popen[str]"], how: str
) -> None:
    process = sampling(STOPPED if how == "stopped" else STARVED)
    if how == "stopped":
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)  # longer than TTL plus deadline
        process.send_signal(signal.SIGCONT)
    output, _ = process.communicate("\n", timeout=120)
    seen, recovered = json.loads(output)
    assert set(seen) <= {"ok", "degraded"}
    assert recovered


# --- Surfaces --------------------------------------------------------------------------------------------
def test_the_report_has_a_section_of_the_process() -> None:
    lateness.reset()
    assert report.report({}, "ok")["process"] == {"status": "ok", "reason": None}
    lateness.observe(1.2)
    assert report.report({}, "ok")["process"] == {"status": "degraded", "reason": "overloaded, 1.2 s late"}


def test_the_report_explains_values_that_are_unknown(snapshot_of: Make) -> None:
    snapshot = snapshot_of(PROBES, refreshing=False)
    lateness.observe(1.0)
    section = report.report({"pipeline": snapshot.result("pipeline")}, "ok")["pipeline"]
    assert (section["error"], section["scripts_count"]) == (OVERLOADED, None)
