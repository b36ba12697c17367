"""Start the servers of `manage.py demo` before Django loads, and set the environment for the settings."""

import argparse
import atexit
import fcntl
import os
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from django.core.management import CommandParser

from common.arguments import parse_count, parse_port
from common.commands import COULD_NOT_CHECK, USAGE, ContinuityCommand
from config.demo import published
from config.demo.process import HOST, ROOT, secret
from config.demo.progress import step
from config.demo.sample_contents import DEFAULT, MINIMUM
from config.demo.servers import Server, ServerError, start_postgres, start_qdrant, start_valkey
from config.serving.granian import PortError, require_free

COLLECTION = "sample_faces"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """The process received SIGINT, SIGTERM or SIGHUP."""


@dataclass(frozen=True)
class Demo:
    """The options of a run, and the started servers."""

    data: Path
    port: int
    files: int | None
    """The --files option."""
    serve: bool
    servers: list[Server] = field(default_factory=list)

    @property
    def platform(self) -> Path:
        """Return the folder of the sample platform."""
        return self.data / "platform"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def started(self, name: str) -> bool:
        """Return whether the demo runs this server itself."""
        return any(server.name == name for server in self.servers)

    def stop(self) -> None:
        """Stop the started servers, the last first."""
        while self.servers:
            self.servers.pop().stop()


_prepared: list[Demo] = []


def prepared_demo() -> Demo | None:
    """Return the demo that `prepare` started in this process."""
    return _prepared[0] if _prepared else None


class DemoOptions(ContinuityCommand):
    """The command line of `manage.py demo`, parsed twice: without settings by `prepare`, then by Django."""

    help = "Start PostgreSQL, Valkey and Qdrant with a sample platform, scan the data, and serve on loopback."
    database_timeout = None
    _called_from_command_line = True  # print usage errors, as argparse does

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=parse_port, default=8000, help="port, on loopback (default 8000)")
        parser.add_argument(
            "--data",
            type=Path,
            default=ROOT / "var",
            metavar="DIR",
            help="folder of servers and sample data (default var)",
        )
        parser.add_argument(
            "--files", type=_files, metavar="N", help=f"size of a new sample platform (default {DEFAULT})"
        )
        parser.add_argument("--no-serve", action="store_true", help="load and scan, without a server, then end")


def prepare(argv: list[str]) -> None:
    """Start the servers without a URL in the environment, and add the variables of the settings.

    The servers end with this process. An error is one line on stderr, and SystemExit with 2 or 3.
    """
    options = DemoOptions().create_parser(argv[0], "demo").parse_args(argv[2:])
    demo = Demo(options.data.resolve(), options.port, options.files, not options.no_serve)
    for number in SIGNALS:
        # nohup ignores SIGHUP, so that the demo outlives the terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _terminate)
    if demo.data.exists():
        # A running demo holds the port too. The lock gives the better reason.
        _lock(demo.data).close()
    if demo.serve:
        try:
            require_free(HOST, demo.port)
        except PortError as problem:
            _fail(f"{problem} Choose another with --port.", USAGE)
    cleanup = ExitStack()
    atexit.register(cleanup.close)
    cleanup.enter_context(_lock(demo.data))
    cleanup.callback(demo.stop)
    variables = _environment(demo)
    os.environ |= variables
    cleanup.callback(published.withdraw)
    published.publish(variables)
    _prepared[:] = [demo]


def _files(text: str) -> int:
    if (files := parse_count(text)) >= MINIMUM:
        return files
    raise argparse.ArgumentTypeError(
        f"{text!r} is too small: the sample platform needs {MINIMUM} files or more, for a file of every group"
    )


def _terminate(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:  # a second signal must not interrupt the cleanup
        signal.signal(each, signal.SIG_IGN)
    raise Terminated(128 + number)


def _fail(line: str, code: int) -> NoReturn:
    sys.stderr.write(f"{line}\n")
    sys.exit(code)


def _lock(data: Path) -> IO[str]:
    """Lock the data folder. The kernel releases the lock when this process ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "demo.lock").open("a+")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _fail(f"A demo is running on {data} already. End it, or choose another folder with --data.", USAGE)
    except OSError as problem:
        _fail(f"The data folder {data} cannot be used ({problem.strerror}). Choose another with --data.", USAGE)
    return lock


# --- The environment -------------------------------------------------------------------------------------
def _environment(demo: Demo) -> dict[str, str]:
    """Return every variable of the demo. Variables of the shell keep their values."""
    folders = {name: demo.platform / name for name in ("scripts", "models", "migrations", "identities")}
    defaults = {f"{name.upper()}_DIR": str(folder) for name, folder in folders.items()}
    defaults["SECRET_KEY"] = secrets.token_urlsafe(48)
    from_shell = {name: os.environ[name] for name in defaults if os.environ.get(name)}
    try:
        addresses = _addresses(demo)
    except ServerError as problem:
        _fail(str(problem), COULD_NOT_CHECK)
    except OSError as problem:
        _fail(f"The servers cannot be started in {demo.data}: {problem}", COULD_NOT_CHECK)
    # The demo is plain HTTP on loopback, whatever the shell exports.
    return defaults | from_shell | addresses | {"DEMO": "1", "ALLOWED_HOSTS": f"{HOST},localhost"}


def _addresses(demo: Demo) -> dict[str, str]:
    def url(variable: str, name: str, start: Callable[[], Server]) -> str:
        if address := os.environ.get(variable):
            return address
        with step(f"Starting {name}"):
            server = start()
        demo.servers.append(server)
        return server.url

    key = secret(demo.data / "qdrant.key")
    addresses = {
        "DATABASE_URL": url("DATABASE_URL", "PostgreSQL", lambda: start_postgres(demo.data)),
        "REDIS_URL": url("REDIS_URL", "Valkey", lambda: start_valkey(demo.data)),
        "QDRANT_URL": url("QDRANT_URL", "Qdrant", lambda: start_qdrant(demo.data, api_key=key)),
    }
    if demo.started("Qdrant"):
        return addresses | {"QDRANT_API_KEY": key, "QDRANT_COLLECTIONS": COLLECTION}
    return addresses | {name: os.environ.get(name, "") for name in ("QDRANT_API_KEY", "QDRANT_COLLECTIONS")}
