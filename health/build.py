"""The build of this program and the age of its server, read once per process."""

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from django.conf import settings

UNKNOWN: Final = "unknown"
# Programs that start workers: the age of the program is the age of the server.
SERVERS: Final = ("granian", "gunicorn", "uwsgi")
GIT_TIMEOUT: Final = 2.0
STARTTIME: Final = 19  # index after the command's name; field 22 in proc(5)


class Build(NamedTuple):
    """`timestamp` is UTC, like 2026-05-16T13:38:15Z."""

    git_hash: str
    timestamp: str


@cache
def build() -> Build:
    """Return the build from the environment, else from the checkout's commit, else `unknown`."""
    commit = _commit(settings.BASE_DIR)
    return Build(settings.BUILD_GIT_HASH or commit.git_hash, settings.BUILD_TIMESTAMP or commit.timestamp)


def _commit(folder: Path) -> Build:
    git = shutil.which("git")
    # Without this test git would find the checkout of a project in a parent folder.
    if git is None or not (folder / ".git").exists():
        return Build(UNKNOWN, UNKNOWN)
    # safe.directory, because the server's user need not own the checkout.
    command = [git, "-c", "safe.directory=*", "-C", str(folder), "log", "-1", "--format=%H %ct"]
    # Without GIT_DIR and the like, which name a different repository if a hook starts this process.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ended = subprocess.run(  # noqa: S603 - a constant command
            command, env=environment, capture_output=True, text=True, timeout=GIT_TIMEOUT, check=True
        )
        commit, seconds = ended.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return Build(UNKNOWN, UNKNOWN)
    return Build(commit[:8], utc(float(seconds)))


def utc(seconds: float) -> str:
    """Return a Unix time in the contract's format."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def _started() -> float:
    # In ticks since boot, from the kernel: an administrator may set the clock while the server runs.
    stat = Path(f"/proc/{server().pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[STARTTIME]) / os.sysconf("SC_CLK_TCK")


def server() -> psutil.Process:
    """Return the application server, if the parent is a known server, else this process."""
    own = psutil.Process()
    try:
        parent = own.parent()
        if parent and any(Path(argument).name.startswith(SERVERS) for argument in parent.cmdline()[:4]):
            return parent
    except psutil.Error:
        pass
    return own


def uptime_ms() -> int:
    """Return milliseconds since the server started, equal in all its workers."""
    return round((time.clock_gettime(time.CLOCK_BOOTTIME) - _started()) * 1000)
