"""What `manage.py demo` does before Django is there: start the servers, and tell the settings where they are."""

import argparse
import atexit
import fcntl
import os
import secrets
import signal
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from django.core.management import BaseCommand, CommandParser

from config.demo import plan, running
from config.demo.process import HOST, ROOT, secret
from config.demo.servers import Server, ServerError, start_postgres, start_qdrant, start_valkey
from config.demo.steps import Steps

DESCRIPTION = "Start a sample platform on PostgreSQL, Valkey and Qdrant of its own, scan it, serve it on loopback."
COLLECTION = "sample_faces"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
USAGE, NOT_POSSIBLE = 2, 3  # exit codes


class Ended(SystemExit):
    """Somebody sent SIGINT, SIGTERM or SIGHUP."""


@dataclass(frozen=True)
class Demo:
    """One run: what was asked for, and what has been started for it."""

    data: Path
    port: int
    files: int | None
    """As given; None: whatever is there, or the default."""
    serve: bool
    servers: list[Server] = field(default_factory=list)

    @property
    def platform(self) -> Path:
        """The sample platform's folder."""
        return self.data / "platform"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def started(self, name: str) -> bool:
        """Whether this demo runs that server itself."""
        return any(server.name == name for server in self.servers)

    def stop(self) -> None:
        """End what was started, the last first; a second time there is nothing left to end."""
        while self.servers:
            self.servers.pop().stop()


_current: list[Demo] = []


def current() -> Demo | None:
    """The demo that `prepare` has made ready in this process."""
    return _current[0] if _current else None


class Options(BaseCommand):
    """The command line of `manage.py demo`: read here, before there are settings, and by Django's command again."""

    help = DESCRIPTION
    requires_system_checks = []
    _called_from_command_line = True  # so that wrong usage is told as argparse does, not raised

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes, beside Django's own options."""
        parser.add_argument("--port", type=_port, default=8000, help="where to serve, on loopback (default 8000)")
        parser.add_argument(
            "--data",
            type=Path,
            default=ROOT / "var",
            metavar="DIR",
            help="where servers and sample data live (default var)",
        )
        parser.add_argument(
            "--files", type=_files, metavar="N", help=f"size of a new sample platform (default {plan.DEFAULT})"
        )
        parser.add_argument("--no-serve", action="store_true", help="do everything but serve, then end")


def prepare(argv: list[str]) -> None:
    """Start the servers that have no URL in the environment and put all that the settings need there.

    Whatever ends this process ends them. What cannot be done is one line on stderr, and SystemExit with 2 or 3.
    """
    options = Options().create_parser(argv[0], "demo").parse_args(argv[2:])
    demo = Demo(options.data.resolve(), options.port, options.files, not options.no_serve)
    _listen_for_endings()
    if demo.data.exists():
        _lock(demo.data).close()  # a demo that runs already holds the port too, and is the better reason
    if demo.serve:
        _require_free(demo.port)
    cleanup = ExitStack()
    atexit.register(cleanup.close)
    cleanup.enter_context(_lock(demo.data))
    cleanup.callback(demo.stop)
    variables = _environment(demo)
    os.environ |= variables
    cleanup.callback(running.withdraw)
    running.publish(variables)
    _current[:] = [demo]


def _port(text: str) -> int:
    if _is_number(text) and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: expected a number from 1 to 65535")


def _files(text: str) -> int:
    if _is_number(text) and int(text) >= plan.MINIMUM:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} is too few or no number: the sample platform needs {plan.MINIMUM} files or more, "
        "so that there is one of every kind"
    )


def _is_number(text: str) -> bool:
    """Whether these are the digits 0 to 9: what others there are is not what somebody means on a command line."""
    return text.isascii() and text.isdecimal()


def _listen_for_endings() -> None:
    for number in ENDINGS:
        # nohup has a demo outlive its terminal by ignoring SIGHUP: that stays so.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for each in ENDINGS:  # once is enough: the end takes a second or two, and must be complete
        signal.signal(each, signal.SIG_IGN)
    raise Ended(128 + number)


def _refuse(line: str, code: int) -> NoReturn:
    sys.stderr.write(f"{line}\n")
    sys.exit(code)


def _require_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as problem:
        _refuse(f"Port {port} on {HOST} cannot be had ({problem.strerror}). Choose another with --port.", USAGE)


def _lock(data: Path) -> IO[str]:
    """Hold the data folder; the kernel lets go of it when this process ends, however it ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "demo.lock").open("a+")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _refuse(f"A demo is running on {data} already. End it, or choose another folder with --data.", USAGE)
    except OSError as problem:
        _refuse(f"The data folder {data} cannot be used ({problem.strerror}). Choose another with --data.", USAGE)
    return lock


# --- The environment -------------------------------------------------------------------------------------
def _environment(demo: Demo) -> dict[str, str]:
    """Every variable of the demo; what the environment gives already stays as it is."""
    try:
        with Steps() as steps:
            addresses = _addresses(demo, steps)
    except ServerError as problem:
        _refuse(str(problem), NOT_POSSIBLE)
    except OSError as problem:
        _refuse(f"The servers cannot be started in {demo.data}: {problem}", NOT_POSSIBLE)
    given = {name: os.environ[name] for name in _defaults(demo) if os.environ.get(name)}
    # Plain HTTP on loopback is what this is, whatever a shell has exported for another purpose.
    return _defaults(demo) | given | addresses | {"DEMO": "1", "ALLOWED_HOSTS": f"{HOST},localhost"}


def _defaults(demo: Demo) -> dict[str, str]:
    folders = {name: demo.platform / name for name in ("scripts", "models", "migrations", "identities")}
    return {f"{name.upper()}_DIR": str(folder) for name, folder in folders.items()} | {
        "SECRET_KEY": secrets.token_urlsafe(48),
    }


def _addresses(demo: Demo, steps: Steps) -> dict[str, str]:
    def url(variable: str, name: str, start: Any, **options: Any) -> str:
        if given := os.environ.get(variable):
            return given
        with steps.step(f"Starting {name}"):
            server: Server = start(demo.data, **options)
        demo.servers.append(server)
        return server.url

    addresses = {
        "DATABASE_URL": url("DATABASE_URL", "PostgreSQL", start_postgres),
        "REDIS_URL": url("REDIS_URL", "Valkey", start_valkey),
    }
    key = secret(demo.data / "qdrant.key")
    addresses["QDRANT_URL"] = url("QDRANT_URL", "Qdrant", start_qdrant, api_key=key)
    if demo.started("Qdrant"):
        addresses |= {"QDRANT_API_KEY": key, "QDRANT_COLLECTIONS": COLLECTION}
    else:
        addresses |= {name: os.environ.get(name, "") for name in ("QDRANT_API_KEY", "QDRANT_COLLECTIONS")}
    return addresses
