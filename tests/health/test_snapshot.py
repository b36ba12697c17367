"""The snapshot: age, the refresher, the first round, and forks."""

import subprocess
import sys
import threading
import time

import pytest

from health.registry import Failed, probe
from health.runs import runner
from tests.health.conftest import PATIENT, Gate, Make, Registry, eventually, threads_of


def test_an_old_ok_becomes_an_error(registry: Registry, snapshot_of: Make) -> None:
    @probe("once", ttl=0.1, deadline=0.1, registry=registry)
    def once() -> None:
        """Once."""

    snapshot = snapshot_of(registry)
    assert snapshot.refresh(budget=PATIENT)["once"].status == "ok"
    assert eventually(lambda: snapshot.result("once").reason == "no answer for 1 s")
    assert not snapshot.known_down("once"), "silence is no proof"


def test_the_refresher_runs_only_essential_probes(registry: Registry, snapshot_of: Make) -> None:
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
    snapshot.ensure_started()
    assert eventually(lambda: runs["vital"] >= 4)
    assert snapshot.status() == "ok"
    assert runs["idle"] == 0


def test_the_refresher_survives_an_exception(
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
    snapshot.ensure_started()
    assert broken.wait(PATIENT)
    before = len(runs)
    assert eventually(lambda: len(runs) > before + 1)
    assert "The refresher of probes failed" in caplog.text


def test_a_dead_refresher_is_started_again(registry: Registry, snapshot_of: Make) -> None:
    runs: list[int] = []

    @probe("vital", ttl=0.2, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        runs.append(1)

    snapshot = snapshot_of(registry)
    snapshot.ensure_started()
    snapshot._stop.set()
    assert snapshot._refresher is not None
    snapshot._refresher.join(PATIENT)
    snapshot._stop = threading.Event()
    before = len(runs)
    snapshot.ensure_started()
    assert eventually(lambda: len(runs) > before)


def test_the_first_call_waits_for_the_first_round(registry: Registry, snapshot_of: Make) -> None:
    @probe("vital", ttl=1.0, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        time.sleep(0.2)

    snapshot = snapshot_of(registry)
    assert snapshot.status() == "degraded", "nothing is known yet"
    snapshot.ensure_started()
    assert snapshot.status() == "ok"
    assert snapshot.is_ready()


def test_the_first_calls_wait_one_second_in_total(registry: Registry, snapshot_of: Make, gate: Gate) -> None:
    @probe("vital", ttl=1.0, deadline=PATIENT, essential=True, registry=registry)
    def vital() -> None:
        """Vital."""
        gate.wait()

    snapshot = snapshot_of(registry)
    begin = time.monotonic()
    for _ in range(20):
        snapshot.ensure_started()
    assert 0.5 < time.monotonic() - begin < 5
    assert not snapshot.is_ready()
    assert snapshot.status() == "degraded"
    gate.open.set()


def test_known_down_follows_young_results_only(registry: Registry, snapshot_of: Make) -> None:
    world = {"well": True}

    @probe("base", ttl=0.3, essential=True, registry=registry)
    def base() -> None:
        """Base."""
        if not world["well"]:
            raise Failed("gone")

    snapshot = snapshot_of(registry)
    assert not snapshot.known_down("base"), "nothing is known yet"
    snapshot.ensure_started()
    assert not snapshot.known_down("base")
    world["well"] = False
    assert eventually(lambda: snapshot.known_down("base"))
    world["well"] = True
    assert eventually(lambda: not snapshot.known_down("base"))


def test_close_ends_the_threads(registry: Registry, snapshot_of: Make) -> None:
    @probe("brief", ttl=0.2, essential=True, registry=registry)
    def brief() -> None:
        """Brief."""

    snapshot = snapshot_of(registry)
    snapshot.ensure_started()
    assert threads_of("brief") == 1
    snapshot.close()
    assert threads_of("brief") == 0
    assert snapshot.refresh(budget=PATIENT)["brief"].status == "ok", "it can be used again"


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
snapshot.ensure_started()
assert snapshot.status() == "ok"
with snapshot._lock, snapshot._runner("vital")._condition:   # as if another thread held them at the moment of the fork
    child = os.fork()
if child == 0:
    assert snapshot.result("vital").reason == "no answer yet", "a child knows nothing by itself"
    snapshot.ensure_started()
    time.sleep(1.5)                                      # longer than an answer is believed
    os._exit(0 if snapshot.status() == "ok" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), snapshot.status())
"""


def test_a_forked_child_starts_again_and_is_refreshed() -> None:
    # Python 3.12 and later warn of every fork of a process with threads.
    known = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *known, "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0 ok", "")
