"""How a command ends when nobody reads on, the disk is full, or a signal comes: in a line and by its exit code."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Final

from django.core.management.base import CommandError

COULD_NOT: Final = 3
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AS_USUAL: Final = (signal.SIG_DFL, signal.default_int_handler)


class OutputError(Exception):
    """What was to be printed was refused; the text says why."""


class NobodyReadsError(OutputError):
    """The reader has gone, as after `| head`: that is no failure of anything."""


class EndedError(KeyboardInterrupt):
    """A signal that ends the process; of this kind, so that psycopg cancels what the server is at."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def put(out: Any, text: str) -> None:
    """Write the text as it is; characters that the terminal's encoding lacks become escapes. Raises OutputError."""
    with _refusals():
        try:
            out.write(text, ending="")
        except UnicodeEncodeError as problem:
            out.write(text.encode(problem.encoding, "backslashreplace").decode(problem.encoding), ending="")


def flush(out: Any) -> None:
    """Write what is still held back: at the interpreter's end nobody could handle what is refused."""
    with _refusals():
        out.flush()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise NobodyReadsError from None
    except OSError as problem:
        raise OutputError(f"cannot write to standard output: {problem.strerror}.") from None


@contextmanager
def ending_well(out: Any) -> Iterator[None]:
    """Around all that a command does; `out` is its stdout. A signal ends it as an exception would: cleaned up."""
    try:
        with _Signals():
            yield
            flush(out)
    except NobodyReadsError:
        _discard_the_rest()
        sys.exit(COULD_NOT)
    except OutputError as problem:
        _discard_the_rest()
        raise CommandError(str(problem), returncode=COULD_NOT) from None
    except EndedError as end:
        sys.exit(128 + end.number)


def _discard_the_rest() -> None:
    """Let what Python flushes at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Signals:
    """Raises what would end the process at once, which would leave files behind; what is ignored stays so (nohup)."""

    def __init__(self) -> None:
        here = current_thread() is main_thread()
        self.before = {number: signal.getsignal(number) for number in ENDING if here}
        self.mine = [number for number, handler in self.before.items() if handler in AS_USUAL]
        self.hook = sys.unraisablehook
        self.number = 0

    def __enter__(self) -> None:
        for number in self.mine:
            signal.signal(number, self._raise)
        if self.mine:
            signal.signal(signal.SIGALRM, self._raise)
            sys.unraisablehook = self._swallowed

    def __exit__(self, *_: object) -> None:
        for number in self.mine:
            signal.signal(number, self.before[number])
        if self.mine:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            sys.unraisablehook = self.hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number if number == signal.SIGALRM else number
        raise EndedError(self.number)

    def _swallowed(self, lost: "sys.UnraisableHookArgs") -> None:
        """What is raised in a callback of the garbage collector goes nowhere: raise it again a moment later."""
        if isinstance(lost.exc_value, EndedError):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            self.hook(lost)
