"""A scan that is remembered: looked at once or twice, told, and recorded whole or not at all."""

import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import ProgrammingError

from common.text import printable
from consistency.history.confirm import FirstLook, SecondLook
from consistency.history.news import RecordedScan
from consistency.history.retention import prune
from consistency.history.silence import Silence, silence_of
from consistency.history.spool import Spool
from consistency.history.writing import Memory, RecordingError, recording_problem
from consistency.models.history import Trigger
from consistency.notices.delivery import tell_later
from consistency.registry import Check
from consistency.scan.report import Report
from consistency.scan.scanner import Progress, scan
from consistency.scan.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A report, and what became of it."""

    report: Report
    scan: RecordedScan | None = None
    """None if it was not recorded."""
    problem: str | None = None
    """Why not, in words fit for outside; None too where nobody asked for it."""


def scan_and_record(
    checks: Sequence[Check],
    *,
    database: str = "default",
    trigger: str = Trigger.COMMAND,
    actor: str = "",
    timeout: float = 10.0,
    confirm: float | None = None,
    limit: int = 100,
    progress: Progress | None = None,
    before_recording: Callable[[], None] = lambda: None,
) -> Recorded:
    """Scan, record, and let a thread tell who wants to know.

    AlreadyRunningError if another scan of this database records, before anything is scanned, or if one with a later
    snapshot is recorded already, after it; what else keeps it from being recorded is in `problem`, and the report
    stands.

    `timeout` is seconds per look, `confirm` seconds between two looks (0: one look; None: CONSISTENCY_CONFIRM),
    `actor` who asked for it (the OS user, if empty). `before_recording` is called once all checks have been asked.
    """
    pause = settings.CONSISTENCY_CONFIRM if confirm is None else confirm
    with recording(database, trigger=trigger, actor=actor, seconds=2 * timeout + pause) as book:
        sight = book.sight(twice(checks, database, timeout=timeout, pause=pause, unsure=book.unsure))
        report = scan(checks, database=database, limit=limit, timeout=timeout, progress=progress, sight=sight)
        before_recording()
        done = book.recorded(report)
    if done.scan:
        tell_later(done.report, done.scan, database)
        prune()
    return done


def look(
    checks: Sequence[Check],
    *,
    database: str = "default",
    timeout: float = 10.0,
    confirm: float = 0.0,
    limit: int = 100,
    progress: Progress | None = None,
) -> Report:
    """The same report, writing nothing."""
    sight = twice(checks, database, timeout=timeout, pause=confirm)
    return scan(checks, database=database, limit=limit, timeout=timeout, progress=progress, sight=sight)


def twice(
    checks: Sequence[Check],
    database: str,
    *,
    timeout: float,
    pause: float,
    unsure: Sight | None = None,
    only_heard: bool = False,
) -> Sight:
    """What the scan that follows sees by: the silence, and with a pause only what a first look saw before it.

    `unsure` sees what either look saw. With `only_heard` the rows are those that nobody has acknowledged.
    """
    if not pause:
        return _silence(checks, database, only_heard)
    first = FirstLook(unsure or Sight())
    scan(checks, database=database, limit=0, timeout=timeout, sight=first)
    # Where the first saw nothing there is nothing that a later one could agree on.
    if any(first.seen.values()):
        time.sleep(pause)
    return SecondLook(first, _silence(checks, database, only_heard))


def _silence(checks: Sequence[Check], database: str, only_heard: bool) -> Silence:
    try:
        return silence_of(checks, database, only_heard=only_heard)
    except ProgrammingError:
        # No tables of ours, or none that we may read: recording will fail by itself, and say so.
        return Silence({}, ())
    except DatabaseError as error:
        return Silence({}, (), unknown=f"what is silenced could not be read: {recording_problem(error)}")


class Book:
    """Where one scan goes: `sight` before it, `recorded` after it."""

    def __init__(self, memory: Memory | None, problem: str | None, *, keep: bool = True) -> None:
        self._memory = memory
        self._problem = problem
        self._keep = keep
        self._spool: Spool | None = None
        self.unsure: Spool | None = Spool(Sight()) if memory else None
        """For what only one of two looks sees."""
        self.done: Recorded | None = None
        """What became of the scan, once that is known: also to who is interrupted right after it."""

    def sight(self, then: Sight) -> Sight:
        """What the scan must see by, so that all it finds can be recorded."""
        self._spool = Spool(then) if self._memory else None
        return self._spool or then

    def recorded(self, report: Report) -> Recorded:
        """Record it, and say what became of it; OlderSnapshotError if another scan saw more and was first."""
        try:
            self.done = self._written(report)
        finally:
            self.close()
        return self.done

    def _written(self, report: Report) -> Recorded:
        if not self._memory or not self._spool or not self.unsure or self._spool.problem:
            return Recorded(report=report, problem=self._spool.problem if self._spool else self._problem)
        try:
            return Recorded(report=report, scan=self._memory.write(report, self._spool, self.unsure, keep=self._keep))
        except RecordingError as error:
            return Recorded(report=report, problem=str(error))

    def close(self) -> None:
        """Release the lock, and remove what was kept."""
        if self._memory:
            self._memory.close()
        for spool in (self._spool, self.unsure):
            if spool:
                spool.close()


@contextmanager
def recording(database: str, *, trigger: str, actor: str, seconds: float, keep: bool = True) -> Iterator[Book]:
    """A book for one scan of this database, which will take so many seconds; AlreadyRunningError if one is open.

    Not `keep`: it says what would be recorded, and nothing of it is.
    """
    try:
        book = Book(Memory(database, trigger=trigger, actor=actor or os_user(), seconds=seconds), None, keep=keep)
    except RecordingError as error:
        book = Book(None, str(error))
    try:
        yield book
    finally:
        book.close()


def os_user() -> str:
    """Who runs this process: by its uid, since LOGNAME and USER say what anybody wrote there; and who by sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container's user need not have a name.
        name = str(os.getuid())
    by = os.environ.get("SUDO_USER")
    return printable(f"{name} (sudo by {by})" if by and by != name else name)
