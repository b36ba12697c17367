"""Which build this is and how long its server has been up: read once per process, the same in every worker."""

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
# Programs that start workers: their age is the server's.
SERVERS: Final = ("granian", "gunicorn", "uwsgi")
SOURCES: Final = ("common", "config", "consistency", "health", "identities")
GIT_SECONDS: Final = 2.0
STARTTIME: Final = 19  # of the fields after the command's name; proc(5) calls it number 22


class Build(NamedTuple):
    """`timestamp` is UTC, like 2026-05-16T13:38:15Z."""

    git_hash: str
    timestamp: str


@cache
def build() -> Build:
    """What the environment says, else the commit of the checkout, else the age of the newest source file."""
    git_hash, timestamp = settings.BUILD_GIT_HASH, settings.BUILD_TIMESTAMP
    if not (git_hash and timestamp):
        commit = _commit(settings.BASE_DIR)
        git_hash, timestamp = git_hash or commit.git_hash, timestamp or commit.timestamp
    return Build(git_hash, timestamp or _newest_source(settings.BASE_DIR))


def _commit(folder: Path) -> Build:
    """The commit that is checked out in this very folder, not in one above it."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return Build(UNKNOWN, "")
    # The server's user may not own the checkout; nothing is run from it, so git need not mind.
    command = [git, "-c", "safe.directory=*", "-C", str(folder), "log", "-1", "--format=%H %ct"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=_environment(), capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
        commit, seconds = done.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return Build(UNKNOWN, "")
    return Build(commit[:8], utc(float(seconds)))


def _environment() -> dict[str, str]:
    """Without GIT_DIR and its like, which lead elsewhere when a hook of another repository started us."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _newest_source(folder: Path) -> str:
    files = (file for source in SOURCES for file in (folder / source).rglob("*.py"))
    return utc(max((file.stat().st_mtime for file in files), default=0.0))


def utc(seconds: float) -> str:
    """A time as the contract writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def _started() -> float:
    """The instant, on the clock of `_now`, at which the server started."""
    process = server()
    try:
        # In ticks since boot, as the kernel has it: psutil adds the boot time, which is known to the second only.
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[STARTTIME]
    except OSError:
        return _now() - (time.time() - process.create_time())
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def _now() -> float:
    """Seconds on a clock that nobody sets: since boot on Linux, as processes' ages are counted there."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def server() -> psutil.Process:
    """The process that serves: the parent where that is an application server, else this one."""
    own = psutil.Process()
    try:
        parent = own.parent()
        if parent and any(Path(word).name.startswith(SERVERS) for word in parent.cmdline()[:4]):
            return parent
    except psutil.Error:
        pass
    return own


def uptime_ms() -> int:
    """Milliseconds since the server started, the same in each of its workers."""
    return round((_now() - _started()) * 1000)
