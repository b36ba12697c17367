"""check_health on a busy machine: no probe fails for lack of CPU time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command

from config.demo.process import ROOT
from health.registry import PROBES, probe
from tests.health.conftest import delay


def test_check_health_runs_a_probe_again_after_lateness(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter([TimeoutError("no answer"), TimeoutError("no answer"), None])

    @probe("patient", ttl=1.0, registry={})
    def patient() -> None:
        """Patience."""
        if error := next(outcomes):
            delay(0.3)
            raise error

    monkeypatch.setitem(PROBES, "patient", patient)
    output = StringIO()
    call_command("check_health", "patient", "--timeout", "60", stdout=output)
    assert "Overall: ok" in output.getvalue()


@pytest.fixture
def busy_loops() -> Iterator[None]:
    """Keep every core busy with two loops."""
    command = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(command) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def test_check_health_has_no_false_failure_beside_busy_loops(busy_loops: None) -> None:
    command = [sys.executable, "manage.py", "check_health", "--timeout", "120"]
    command += ["postgres", "redis", "qdrant", "resources"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
