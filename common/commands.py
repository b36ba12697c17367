"""The base class of all management commands: usage errors, signals, output errors and exit codes."""

import atexit
import io
import logging
import os
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import active_count, current_thread, main_thread
from types import FrameType
from typing import Any, ClassVar, Final, Literal, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import Error as DatabaseError

from common.arguments import InvalidInputError
from common.errors import explain, first_line, is_outage, missing_table, outage_message
from common.postgres.deadline import deadline

logger = logging.getLogger(__name__)

CLEAN: Final = 0
FOUND: Final = 1
USAGE: Final = 2
COULD_NOT_CHECK: Final = 3
RETRY: Final = 10.0
"""Seconds from a signal to the next try to end the command: longer than the cleanup of a command takes."""


class ContinuityCommand(BaseCommand):
    """A command that implements `run` and returns its exit code; None is 0.

    SIGINT, SIGTERM and SIGHUP raise SystemExit while `run` is executed, so `finally` blocks are executed too. Usage
    errors exit with code 2. Database errors, write errors and unexpected errors exit with code 3.
    """

    requires_system_checks: tuple[str, ...] | Literal["__all__"] = ()
    epilog: ClassVar[str] = ""
    """Examples and exit codes, printed below the options by --help."""
    database_timeout: ClassVar[float | None] = 10.0
    """Seconds that the whole command may wait for PostgreSQL; None for no limit."""

    def run(self, *args: Any, **options: Any) -> int | None:
        """Do the work of the command, and return the exit code."""
        raise NotImplementedError

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser with brief usage errors and the epilog."""
        parser = super().create_parser(
            prog_name, subcommand, formatter_class=HelpFormatter, epilog=self.epilog, **kwargs
        )
        # Django's create_parser() has no option for the class of the parser.
        parser.__class__ = BriefParser
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command from a command line. The end of the process waits for no thread."""
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            _leave_threads(int(end.code or 0))
            raise
        _leave_threads(CLEAN)

    def handle(self, *args: Any, **options: Any) -> None:
        """Call `run`, and turn the result or the exception into an exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with _exit_on_signals(), deadline(self.database_timeout) if self.database_timeout else nullcontext():
                code = self.run(*args, **options)
                # An error while Python flushes at exit would change the exit code to 120.
                self.stdout.flush()
        except CommandError:
            raise
        except InvalidInputError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except DatabaseError as error:
            raise CommandError(_database_message(error), returncode=COULD_NOT_CHECK) from error
        except BrokenPipeError:
            _discard_output()
            code = COULD_NOT_CHECK
        except OSError as error:
            _discard_output()
            target = error.filename or "the output"
            raise CommandError(f"Cannot write {target}: {error.strerror}.", returncode=COULD_NOT_CHECK) from error
        except Exception:
            logger.exception("The command failed unexpectedly.")
            code = COULD_NOT_CHECK
        if code:
            sys.exit(code)


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's formatter, except that the epilog keeps its lines."""


class BriefParser(CommandParser):
    """Print one line about a usage error and the way to --help, without the long usage text."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2, or raise CommandError if Python code called the command."""
        if not self.called_from_command_line:
            raise CommandError(f"Error: {message}", returncode=USAGE)
        self.exit(USAGE, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Raise SystemExit on SIGINT, SIGTERM and SIGHUP. An ignored signal stays ignored, as nohup expects."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if current_thread() is main_thread() else []
    handlers = {number: signal.getsignal(number) for number in numbers}
    replaced = {number: old for number, old in handlers.items() if old in (signal.SIG_DFL, signal.default_int_handler)}
    for number in replaced:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        if replaced:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, old in replaced.items():
            signal.signal(number, old)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    # Python ignores an exception in a finalizer or a callback: the alarm raises the exception again.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(128 + number))
    signal.setitimer(signal.ITIMER_REAL, RETRY)
    sys.exit(128 + number)


def _leave_threads(code: int) -> None:
    """Exit now if a thread is left, because a hung disk or name server would hold up Python's exit."""
    if active_count() > 1:
        atexit._run_exitfuncs()
        for output in filter(None, (sys.stdout, sys.stderr)):
            with suppress(OSError, ValueError):
                output.flush()
        os._exit(code)


def _discard_output() -> None:
    # The recipe of Python's documentation: the flush at exit must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _database_message(error: DatabaseError) -> str:
    if message := missing_table(error):
        return message
    if is_outage(error):
        return outage_message(error)
    return f"PostgreSQL (DATABASE_URL) refused a statement: {explain(error) or first_line(error)}."
