"""`manage.py serve`: serve HTTP with granian."""

import os
from argparse import ArgumentTypeError
from typing import Any, Final

from django.conf import settings
from django.core.management import CommandError, CommandParser

from common.arguments import parse_count, parse_port
from common.commands import USAGE, ContinuityCommand
from config.serving.granian import PortError, command, require_free, reserve

MOST: Final = 100


class Command(ContinuityCommand):
    help = "Serve HTTP, for a proxy with TLS in front. SIGTERM and Ctrl-C end the server within 5 seconds."
    database_timeout = None
    epilog = """\
Each worker is a process with an event loop, which answers /health, and with threads for all other requests.

examples:
  manage.py serve                              on 127.0.0.1:8000, with two workers
  manage.py serve --host 0.0.0.0 --port 80
  manage.py serve --workers 4 --threads 8
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address (default: 127.0.0.1)")
        parser.add_argument("--port", type=parse_port, default=8000, help="port (default: 8000)")
        parser.add_argument("--workers", type=_few, default=2, metavar="N", help=f"processes, 1 to {MOST}, default: 2")
        parser.add_argument(
            "--threads",
            type=_few,
            default=settings.REQUEST_THREADS,
            metavar="N",
            help=f"threads per worker for requests, 1 to {MOST}, default: REQUEST_THREADS (16)",
        )

    def run(self, *args: Any, **options: Any) -> None:
        try:
            require_free(options["host"], options["port"])
            guard = reserve(options["host"], options["port"])
        except PortError as error:
            raise CommandError(f"{error} Choose another with --host or --port.", returncode=USAGE) from error
        os.environ["REQUEST_THREADS"] = str(options["threads"])
        os.chdir(settings.BASE_DIR)
        program = command(options["host"], options["port"], options["workers"])
        self.stdout.flush()
        with guard:
            os.execv(program[0], program)  # noqa: S606 - granian replaces this process and receives its signals


def _few(text: str) -> int:
    if text.isdecimal() and 0 < (number := parse_count(text)) <= MOST:
        return number
    raise ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST}")
