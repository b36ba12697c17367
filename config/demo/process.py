"""Run a server process: start on a free port, end with the parent, stop for certain."""

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

import psutil

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
LAUNCHER = ROOT / "common" / "process.py"
START_TIMEOUT = 60.0  # a busy machine needs many seconds
PORT_TAKEN = "address already in use"


class ServerError(Exception):
    """A server cannot start. The message is one line: the server, the reason, and the end of the log."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command line, and how to know that the server is ready."""

    name: str
    command: Sequence[str]
    url: str
    log: Path
    cwd: Path
    answers: Callable[[], bool]  # True if the server is ready and is this program; may raise OSError
    user: str = ""  # the unprivileged user of the process
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    # SIGKILL ends a stopped process too. A program with children needs another signal.
    death_signal: signal.Signals = signal.SIGKILL


class Server:
    """A running server. `url` is a value for DATABASE_URL, REDIS_URL or QDRANT_URL."""

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
        """Return whether the process lives, paused or not."""
        return self.process.poll() is None

    def tree(self) -> list[psutil.Process]:
        """Return the process and all descendants."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def pause(self) -> None:
        """Freeze the server and all children with SIGSTOP: connections stay open without an answer."""
        _signal(self.tree()[:1], signal.SIGSTOP)  # the parent first, so that no further children start
        tree = self.tree()
        _signal(tree, signal.SIGSTOP)
        for _ in until(2):
            if all(_status(process) in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE) for process in tree):
                break

    def resume(self) -> None:
        """Continue after `pause`."""
        _signal(self.tree(), signal.SIGCONT)

    def stop(self, timeout: float = 10.0) -> None:
        """End the server, paused or not. After `timeout` seconds, kill the whole process group."""
        tree = self.tree()
        if self.running():
            _signal(tree, signal.SIGCONT)
            self.process.send_signal(self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
        _signal([process for process in tree if process.is_running()], signal.SIGKILL)
        with suppress(ProcessLookupError):  # children that outlived a killed server
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
    """Run the program on `port`, or on a free port, and return when the program answers. Raises ServerError."""
    for _ in range(5):  # another process may take a free port first
        chosen = port or free_port()
        program = program_on(chosen)
        server = spawn(program, chosen)
        try:
            if _answers(program, server):
                return server
        except BaseException:  # Ctrl-C too
            server.stop()
            raise
        server.stop()
        if PORT_TAKEN not in program.log.read_text(errors="replace").lower():
            raise ServerError(f"{program.name} did not start: {tail(program.log)} (log: {program.log})")
        if port:
            break
    raise ServerError(f"{program.name} did not start: port {chosen} on {HOST} is held by another program.")


def spawn(program: Program, port: int) -> Server:
    """Start the process in a process group of its own, so that Ctrl-C does not reach the server."""
    with program.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            launcher(program.command, user=program.user, death_signal=program.death_signal),
            cwd=program.cwd,
            env=minimal_environment() | program.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    return Server(program, port, process)


def launcher(command: Sequence[str], *, user: str, death_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return a command line whose process ends with the calling thread, which must be the main thread."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(int(death_signal)), str(os.getpid()), user, *command]


def minimal_environment() -> dict[str, str]:
    """Return an environment without the variables of the shell, such as PGPORT and PYTHONPATH."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _answers(program: Program, server: Server) -> bool:
    for _ in until(START_TIMEOUT):
        if not server.running():
            return False
        with suppress(OSError):
            if program.answers():
                return True
    return False


def until(seconds: float, step: float = 0.02) -> Iterator[None]:
    """Yield at once and then every `step` seconds, until `seconds` have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(step)


def free_port() -> int:
    """Return a port that is free now. Another process may take the port before the caller does."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def tail(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log as one line."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return " / ".join(text.split("\n")[-lines - 1 :]).strip(" /") or "its log is empty"


def secret(path: Path) -> str:
    """Return the password in the file `path`, created on the first call and readable by the owner only."""
    with suppress(FileExistsError), open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text()


def executable(name: str, packaged: Path | None) -> Path:
    """Return the program of a wheel, or else the program on the PATH."""
    path = packaged if packaged and packaged.exists() else shutil.which(name)
    if not path:
        raise ServerError(f"{name} is not installed: pip install -r requirements.txt, or put it on PATH.")
    return Path(path)
