"""Ask the database whether its data agrees with itself; made for cron, for pipes and for people."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from common.choices import UnknownChoiceError, validate_choice
from common.text import printable
from consistency.history.news import RecordedScan
from consistency.history.recorder import Book, Recorded, os_user, recording, twice
from consistency.history.retention import prune
from consistency.history.silence import MEMORY
from consistency.history.writing import AlreadyRunningError, OlderSnapshotError
from consistency.management.console import checks_text, progress_bar, report_text
from consistency.management.ending import EndedError, OutputError, ending_well, flush, put
from consistency.management.help import EPILOG, HelpFormatter, add_arguments
from consistency.management.target import Held, TargetError, Write, whole_file
from consistency.management.usage import BriefCommand
from consistency.models.history import Trigger
from consistency.notices.delivery import preview, tell, told_by
from consistency.registry import CHECKS, Check, Severity
from consistency.scan import formats
from consistency.scan.report import Report
from consistency.scan.scanner import scan
from consistency.scan.selection import chosen
from consistency.scan.sight import Sight
from consistency.scan.sql import runnable
from consistency.scan.stream import Stream
from consistency.scan.transaction import bounded

logger = logging.getLogger(__name__)

CLEAN, FOUND, USAGE, COULD_NOT_CHECK = 0, 1, 2, 3
STREAMED: Final = {"ndjson": formats.ndjson, "csv": formats.csv_pieces}
DEFAULT_LIMITS: Final = {"text": 10, "json": 100}
SCAN_SECONDS, STREAM_SECONDS = 60.0, 300.0


class UnreachableError(Exception):
    """There is no report for people, since PostgreSQL does not answer; the text is for stderr."""


class Command(BriefCommand):
    help = "Look for files, jobs and identities whose stored data disagrees. Never changes them; remembers what it saw."
    # Cron's minutes are for the scan; `manage.py check` is for what is wrong with the settings.
    requires_system_checks: tuple[str, ...] = ()

    book: Book | None = None
    """Where the scan goes, once it has begun."""
    held: Held | None = None
    """What is to be printed, but for what a file takes."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's, with examples and exit codes below."""
        return super().create_parser(prog_name, subcommand, formatter_class=HelpFormatter, epilog=EPILOG, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Everything arrives converted; an unknown word is an error that names the nearest."""
        add_arguments(parser, formats=("text", "json", *STREAMED))

    def handle(self, **options: Any) -> None:
        """Answer, and end with the exit code of the answer."""
        self.options = options
        with ending_well(self.stdout):
            code = self._handled()
        if code:
            sys.exit(code)

    def _handled(self) -> int:
        try:
            code = self._answer()
            if self._kept():
                # Last: nobody waits for what is forgotten.
                prune()
            return code
        except (UnknownChoiceError, TargetError) as problem:
            raise CommandError(str(problem), returncode=USAGE) from None
        except (CommandError, OutputError):
            raise
        except EndedError:
            kept = self._kept()
            self.stderr.write(f"Ended early: {f'scan {kept.id} is recorded' if kept else 'nothing is recorded'}.")
            raise
        except Exception:
            logger.exception("The scan ended early.")
            return COULD_NOT_CHECK

    def _answer(self) -> int:
        if self.options["list_checks"]:
            self._print(checks_text(list(CHECKS.values()), **self._look()))
            return CLEAN
        for name in ("only_new", "dry_run_notices"):
            if self.options[name] and self.options["no_record"]:
                option = name.replace("_", "-")
                raise CommandError(f"--{option} needs the memory: leave --no-record out", returncode=USAGE)
        checks = self._chosen()
        if self.options["sql"]:
            self._print("".join(self._sql(check) for check in checks))
            return CLEAN
        try:
            return self._told(checks)
        except UnreachableError as problem:
            self.stderr.write(str(problem))
            return COULD_NOT_CHECK
        except AlreadyRunningError as problem:
            skipped = self.options["skip_if_running"]
            # A clock that was set back stays so: were it not said, cron would record nothing, and look well.
            if not skipped or isinstance(problem, OlderSnapshotError):
                self.stderr.write(str(problem))
            return CLEAN if skipped else COULD_NOT_CHECK

    def _told(self, checks: Sequence[Check]) -> int:
        try:
            done = self._written(checks)
            flush(self.stdout)
        finally:
            # Recorded, it is news no more to the next scan: whatever came in between, who wants to know hears now.
            self._tell()
        return self._code(done)

    def _chosen(self) -> list[Check]:
        for name in settings.CONSISTENCY_CHECKS:
            validate_choice("check in the setting CONSISTENCY_CHECKS", name, CHECKS)
        return chosen(self.options["names"], self.options["tag"])

    def _sql(self, check: Check) -> str:
        statements = runnable(check, self.options["database"])
        told = [f"{statement};" for statement in statements] or ["-- The truth lies outside PostgreSQL: no SQL."]
        return "\n".join([f"-- {check.name}: {check.title}", *told]) + "\n\n"

    def _written(self, checks: Sequence[Check]) -> Recorded:
        try:
            return self._written_there(checks)
        except OSError as problem:
            raise OutputError(f"cannot write {self.options['output'] or 'the report'}: {problem.strerror}.") from None

    def _written_there(self, checks: Sequence[Check]) -> Recorded:
        if self.options["output"]:
            with whole_file(self.options["output"]) as file:
                return self._report(checks, file.write)
        with closing(Held(self._print)) as self.held:
            done = self._report(checks, self.held.write)
            if not self.options["quiet"] or self._noteworthy(done):
                self.held.release()
        return done

    def _report(self, checks: Sequence[Check], write: Write) -> Recorded:
        with self._book() as self.book:
            scanned = self._streamed if self.options["format"] in STREAMED else self._scanned
            done = scanned(checks, write, self.book)
        report, how = done.report, self.options["format"]
        # Who cannot be scanned for being away cannot remember either: one line is enough.
        if done.problem and not (report.unreachable and self.options["database"] == MEMORY):
            self.stderr.write(f"Not recorded: {done.problem}.")
        if report.unreachable and how == "text":
            raise self._unreachable(report.unreachable)
        if how == "json":
            write(json.dumps(formats.as_dict(report) | self._news(done), indent=2) + "\n")
        elif how == "text":
            write(report_text(report, database=self.options["database"], scan=done.scan, **self._look()))
            write(self._ending(done.scan) if done.scan else "")
        if report.unreachable:
            self.stderr.write(str(self._unreachable(report.unreachable)))
        return done

    def _ending(self, scan: RecordedScan) -> str:
        """Which mutes are over, as they are if it is kept; last, in any case, the news."""
        over = [f"\n{printable(str(mute))}\n" for mute in scan.mutes_ended if self._keep()]
        return "".join([*over, f"\n{scan.news}\n"])

    def _tell(self) -> None:
        """Send the notices now: the report is out, the scan is recorded, and a process of cron ends after this."""
        done = self.book.done if self.book else None
        if not (done and done.scan):
            return
        told, database = (done.report, done.scan), self.options["database"]
        if self.options["dry_run_notices"]:
            # Beside a report for programs it would be in their way.
            out = self.stdout if self.options["format"] == "text" else self.stderr
            put(out, f"\n{preview(told_by(*told, database))}")
            return
        for problem in tell(*told, database):
            self.stderr.write(f"Notice not sent: {problem}.")

    def _book(self) -> AbstractContextManager[Book]:
        if self.options["no_record"]:
            return nullcontext(Book(None, None))
        seconds = 2 * self._timeout() + self._pause()
        return recording(
            self.options["database"], trigger=Trigger.COMMAND, actor=os_user(), seconds=seconds, keep=self._keep()
        )

    def _news(self, done: Recorded) -> dict[str, Any]:
        if self.options["no_record"]:
            return {}
        return {"recorded": done.scan.as_dict() if done.scan and self._keep() else None}

    def _kept(self) -> RecordedScan | None:
        done = self.book.done if self.book else None
        return done.scan if done and self._keep() else None

    def _keep(self) -> bool:
        return not self.options["dry_run_notices"]

    def _scanned(self, checks: Sequence[Check], write: Write, book: Book) -> Recorded:
        limit = self.options["limit"]
        sight = self._sight(checks, book)
        with progress_bar(len(checks), shown=sys.stderr.isatty()) as progress:
            report = scan(
                checks,
                database=self.options["database"],
                limit=DEFAULT_LIMITS[self.options["format"]] if limit is None else limit,
                timeout=self._timeout(),
                progress=progress,
                sight=sight,
            )
            if not self.options["no_record"]:
                progress.recording()
            return book.recorded(report)

    def _sight(self, checks: Sequence[Check], book: Book) -> Sight:
        database, pause = self.options["database"], self._pause()
        if pause and self.stderr.isatty():
            self.stderr.write(f"Looking twice, {pause:g} s apart.")
        heard = self.options["format"] == "text"
        then = twice(checks, database, timeout=self._timeout(), pause=pause, unsure=book.unsure, only_heard=heard)
        return book.sight(then)

    def _timeout(self) -> float:
        usual = STREAM_SECONDS if self.options["format"] in STREAMED else SCAN_SECONDS
        return self.options["timeout"] or usual

    def _pause(self) -> float:
        confirm: float | None = self.options["confirm"]
        return settings.CONSISTENCY_CONFIRM if confirm is None else confirm

    def _streamed(self, checks: Sequence[Check], write: Write, book: Book) -> Recorded:
        database, limit, timeout = self.options["database"], self.options["limit"], self._timeout()
        sight = self._sight(checks, book)
        with bounded(connections[database], timeout):
            stream = Stream(
                checks,
                database=database,
                limit=limit,
                timeout=timeout,
                patience=timeout,
                sight=sight,
                in_any_case=True,
            )
        done: list[Recorded] = []

        def ending(report: Report) -> dict[str, Any]:
            done.append(self._recorded(report, book))
            return self._news(done[0])

        with closing(stream):
            for piece in STREAMED[self.options["format"]](stream, ending):
                write(piece)
        return done[0]

    def _recorded(self, report: Report, book: Book) -> Recorded:
        # What went straight to a reader was found at that one's pace: what came of a pause is no word on the platform.
        if self.held and self.held.problem:
            return Recorded(report=report, problem=self.held.problem)
        return book.recorded(report)

    def _unreachable(self, words: str) -> "UnreachableError":
        return UnreachableError(f"Database {self.options['database']!r}: {words}. Is it running, and is its URL right?")

    def _noteworthy(self, done: Recorded) -> bool:
        level = self.options["fail_level"]
        # Who never wants to fail wants to read all the more.
        return not done.report.complete or self._reaches(done, level if level <= max(Severity) else Severity.INFO)

    def _code(self, done: Recorded) -> int:
        if not done.report.complete:
            return COULD_NOT_CHECK
        return FOUND if self._reaches(done, self.options["fail_level"]) else CLEAN

    def _reaches(self, done: Recorded, level: int) -> bool:
        """Whether anything that counts is as bad; what is news is unknown where nothing was recorded."""
        if not (self.options["only_new"] and done.scan):
            return (done.report.worst or 0) >= level
        news = done.scan.by_check
        loud = [outcome.check for outcome in done.report.outcomes if outcome.loud]
        return any(check.severity >= level and news[check.name].any_news for check in loud)

    def _look(self) -> dict[str, bool]:
        terminal = self.stdout.isatty() and not self.options["output"]
        plain = self.options["no_color"] or "NO_COLOR" in os.environ
        return {"terminal": terminal, "colour": (terminal and not plain) or self.options["force_color"]}

    def _print(self, text: str) -> None:
        put(self.stdout, text)
