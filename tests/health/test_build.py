"""The build, and the uptime of the server."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from health import build

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Clear the caches before and after each test."""
    build.build.cache_clear()
    build._started.cache_clear()
    yield
    build.build.cache_clear()
    build._started.cache_clear()


@pytest.fixture
def source(tmp_path: Path, settings: Settings) -> Path:
    """Return an empty folder of the project."""
    settings.BASE_DIR = tmp_path
    return tmp_path


def git(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def commit(source: Path) -> str:
    """Make a commit in the folder and return its full hash."""
    git(source, "init", "-q")
    git(source, "commit", "-q", "--allow-empty", "-m", "one", "--date", "2026-05-16T15:38:15+02:00")
    return git(source, "rev-parse", "HEAD")


def test_the_environment_is_believed_word_for_word(settings: Settings) -> None:
    settings.BUILD_GIT_HASH, settings.BUILD_TIMESTAMP = "3a6c1865", "2026-05-16T13:38:15Z"
    assert build.build() == ("3a6c1865", "2026-05-16T13:38:15Z")


@pytest.mark.needs("git")
def test_without_environment_the_checkout_decides(commit: str, source: Path) -> None:
    found = build.build()
    assert found.git_hash == commit[:8]
    assert UTC.fullmatch(found.timestamp)
    assert found.timestamp == build.utc(float(git(source, "log", "-1", "--format=%ct")))


@pytest.mark.needs("git")
def test_each_of_the_two_is_filled_in_by_itself(commit: str, settings: Settings) -> None:
    settings.BUILD_TIMESTAMP = "2026-05-16T13:38:15Z"
    assert build.build() == (commit[:8], "2026-05-16T13:38:15Z")


@pytest.mark.needs("git")
def test_a_hook_of_another_repository_does_not_mislead_it(
    commit: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert build.build().git_hash == commit[:8]


def test_without_a_checkout_the_build_is_unknown(source: Path) -> None:
    assert build.build() == ("unknown", "unknown")


@pytest.mark.needs("git")
def test_a_checkout_above_is_not_ours(source: Path, settings: Settings) -> None:
    git(source, "init", "-q")
    git(source, "commit", "-q", "--allow-empty", "-m", "another project")
    settings.BASE_DIR = source / "vendored"
    (source / "vendored/health").mkdir(parents=True)
    assert build.build().git_hash == "unknown"


def test_a_broken_checkout_is_unknown(source: Path) -> None:
    (source / ".git").write_text("gitdir: nowhere")
    assert build.build() == ("unknown", "unknown")


def test_uptime_is_that_of_this_process_and_runs() -> None:
    first = build.uptime_ms()
    truth = (time.time() - psutil.Process().create_time()) * 1000
    assert abs(first - truth) < 2000  # psutil knows the time of boot to the second
    time.sleep(0.05)
    assert build.uptime_ms() >= first + 50


def test_uptime_does_not_jump_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.uptime_ms()
    monkeypatch.setattr("health.build.time.time", lambda: 4_000_000_000.0)
    assert 0 <= build.uptime_ms() - before < 60_000


WORKER = """
import sys, time
sys.argv[0:1] = []
from health import build
print(build.server().pid, build.uptime_ms())
"""
SERVER = """
import subprocess, sys, time
time.sleep(1)
for _ in range(2):
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""


def test_a_worker_reports_the_uptime_of_its_server(tmp_path: Path) -> None:
    server = tmp_path / "granian"
    server.write_text(SERVER)
    done = subprocess.Popen([sys.executable, str(server), WORKER], stdout=subprocess.PIPE, text=True)
    output, _ = done.communicate(timeout=60)
    (pid, first), (_, second) = (line.split() for line in output.splitlines())
    assert int(pid) == done.pid
    assert 1000 <= int(first) <= int(second)
