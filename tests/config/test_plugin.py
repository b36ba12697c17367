"""The test plugin touches no server of the developer, leaves no process behind, and names skipped tests."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from config.demo.process import ROOT
from tests.processes import all_gone
from tests.servers import FOREIGN


def pytest_run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_clears_every_variable_that_the_settings_know() -> None:
    settings = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings))
    assert {"DATABASE_URL", "QDRANT_API_KEY", "TMDB_URL"} <= read
    assert not {name for name in read if not FOREIGN.match(name)}


def test_it_leaves_alone_what_names_the_servers_to_test_with() -> None:
    assert not any(map(FOREIGN.match, ["PG_BIN", "TEST_DATABASE_URL", "TEST_QDRANT_URL", "PATH", "CI"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_its_servers_when_the_run_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    test = tmp_path / "test_waiting.py"
    test.write_text("def test_it_waits():\n    print('waiting', flush=True)\n    __import__('time').sleep(60)\n")
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    command += ["-c", str(ROOT / "pyproject.toml"), str(test)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # pytest removes the files of a killed run
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert any("waiting" in line for line in run.stdout)
        servers = psutil.Process(run.pid).children(recursive=True)
        assert len(servers) > 5
        folders = list(tmp_path.glob("continuity-tests-*"))
        assert len(folders) == 1
        run.send_signal(number)
    assert all_gone(servers)
    assert folders[0].exists() == (number == signal.SIGKILL)


def test_it_says_in_one_line_why_the_tests_have_no_servers(tmp_path: Path) -> None:
    done = pytest_run("--collect-only", PG_BIN=str(tmp_path))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.splitlines() == [
        f"ERROR: The tests need their servers: PG_BIN={tmp_path} has no postgres and initdb in it. "
        "Expected: PostgreSQL's bin folder.",
        "",
    ]


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_it_names_a_tool_that_a_test_needs_and_insists_on_it_in_ci(ci: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "test_tool.py").write_text(
        "import pytest\n@pytest.mark.needs('sh', 'no-such-tool')\ndef test_it_uses_it(): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:django -p tests.conftest -rs\nmarkers = needs: x\n")
    done = pytest_run(tmp_path, f"--rootdir={tmp_path}", CI=ci)
    assert outcome in done.stdout
    assert "not run: no-such-tool not installed" in done.stdout
