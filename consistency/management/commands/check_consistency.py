"""`manage.py check_consistency`: scan stored data for inconsistencies, for cron, pipes and people."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from common.choices import validate_choice
from common.commands import CLEAN, COULD_NOT_CHECK, FOUND, USAGE, ContinuityCommand
from common.output import has_colour, held_report, terminal_lines, whole_file
from common.postgres.deadline import deadline
from common.text import printable
from consistency.history.changes import RecordedScan
from consistency.history.locks import AlreadyRunningError
from consistency.history.retention import prune
from consistency.history.scanning import Recorded, read_scan, record_scan
from consistency.history.write import OlderSnapshotError
from consistency.management.console import Bar, checks_text, progress_bar, report_text
from consistency.management.help import EPILOG, add_arguments
from consistency.models.history import Trigger
from consistency.notices.delivery import notify, preview
from consistency.registry import CHECKS, Check, Severity
from consistency.scan.engine import Chunk, Engine
from consistency.scan.formats import STREAM_FORMATS, StreamFormat
from consistency.scan.guards import RATIO, TABLES
from consistency.scan.passes import collect, shown_rows
from consistency.scan.report import Report
from consistency.scan.selection import select_checks
from consistency.scan.serializers import report_data
from consistency.scan.sql import statements

Write: TypeAlias = Callable[[str], object]

BLOCK_SIZE: Final = 65_536
DEFAULT_LIMITS: Final = {"text": 10, "json": 100}
PASS_TIMEOUT: Final = 60.0
RECORDING_TIMEOUT: Final = 120.0
STREAM_TIMEOUT: Final = 300.0
# Options that need a recorded scan, each with an option that records nothing.
UNRECORDED: Final = (
    ("only_new", "no_record"),
    ("dry_run_notices", "no_record"),
    ("accept_tables", "no_record"),
    ("accept_tables", "dry_run_notices"),
    ("accept_ratio", "no_record"),
    ("accept_ratio", "dry_run_notices"),
)


class Command(ContinuityCommand):
    help = "Scan the stored data of files, jobs and identities for inconsistencies, and record the result."
    epilog = EPILOG
    database_timeout = None

    recorded: Recorded | None = None
    """The result, as soon as the scan is recorded."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser, formats=("text", "json", *STREAM_FORMATS))

    def run(self, *args: Any, **options: Any) -> int:
        self.options = options
        if options["list_checks"]:
            self._write(checks_text(list(CHECKS.values()), **self._style()))
            return CLEAN
        checks = self._checks()
        if options["sql"]:
            self._write("".join(_sql_text(check, options["database"]) for check in checks))
            return CLEAN
        try:
            return self._scan(checks)
        except AlreadyRunningError as error:
            # After the clock was set back, every scan is older: cron must not skip all scans without a message.
            if not options["skip_if_running"] or isinstance(error, OlderSnapshotError):
                self.stderr.write(str(error))
            return CLEAN if options["skip_if_running"] else COULD_NOT_CHECK
        except (KeyboardInterrupt, SystemExit):
            scan = self._stored_scan()
            self.stderr.write(f"Ended early: {f'scan {scan.id} is recorded' if scan else 'nothing is recorded'}.")
            raise

    def _checks(self) -> list[Check]:
        for name, conflict in UNRECORDED:
            if self.options[name] and self.options[conflict]:
                option, other = name.replace("_", "-"), conflict.replace("_", "-")
                raise CommandError(f"--{option} needs a recorded scan: omit --{other}", returncode=USAGE)
        for name in settings.CONSISTENCY_CHECKS:
            validate_choice("check in the setting CONSISTENCY_CHECKS", name, CHECKS)
        checks = select_checks(self.options["names"], self.options["tag"])
        if self.options["accept_ratio"] and not any(check.external for check in checks):
            external = ", ".join(check.name for check in CHECKS.values() if check.external)
            raise CommandError(f"--accept-ratio needs the name of an external check: {external}", returncode=USAGE)
        return checks

    # --- Scan and report ---------------------------------------------------------------------------------
    def _scan(self, checks: Sequence[Check]) -> int:
        try:
            result = self._report(checks)
            self.stdout.flush()
        finally:
            # The next scan does not repeat these changes, so the notice goes out even if the report cannot be written.
            self._notify()
        if self._stored_scan():
            prune()
        if not result.report.complete:
            return COULD_NOT_CHECK
        return FOUND if self._reaches(result, self.options["fail_level"]) else CLEAN

    def _report(self, checks: Sequence[Check]) -> Recorded:
        if self.options["output"]:
            with whole_file(self.options["output"]) as file:
                return self._write_report(checks, file.write)
        # A slow reader of standard output must not hold up the scan.
        with held_report() as held:
            try:
                result = self._write_report(checks, held.write)
            except OSError as error:
                error.filename = tempfile.gettempdir()
                raise
            if not self.options["quiet"] or self._needs_attention(result):
                held.seek(0)
                blocks: Iterable[str] = iter(partial(held.read, BLOCK_SIZE), "")
                if self.stdout.isatty() and self.options["format"] in STREAM_FORMATS:
                    blocks = map(terminal_lines, held)
                for block in blocks:
                    self._write(block)
        return result

    def _write_report(self, checks: Sequence[Check], write: Write) -> Recorded:
        name, database = self.options["format"], self.options["database"]
        stream = STREAM_FORMATS.get(name)
        consume = partial(_stream, stream, write) if stream else partial(collect, hide_acknowledged=name == "text")
        with progress_bar(len(checks), shown=sys.stderr.isatty()) as progress:
            result = self._run_scan(checks, consume, progress)
        report = result.report
        # One line is enough if the scanned database also holds the history.
        if result.problem and not (report.unreachable and database == DEFAULT_DB_ALIAS):
            self.stderr.write(f"Not recorded: {result.problem}.")
        unreachable = f"Database {database!r}: {report.unreachable}. Is it running, and is its URL right?"
        if report.unreachable and name == "text":
            raise CommandError(unreachable, returncode=COULD_NOT_CHECK)
        if stream:
            write(stream.ending(report, self._changes()))
        elif name == "json":
            write(json.dumps(report_data(report) | self._changes(), indent=2) + "\n")
        else:
            write(report_text(report, database=database, scan=result.scan, **self._style()))
            write(self._changes_text(result.scan) if result.scan else "")
        if report.unreachable:
            self.stderr.write(unreachable)
        return result

    def _run_scan(self, checks: Sequence[Check], consume: Callable[..., Report], progress: Bar) -> Recorded:
        database, name, limit = self.options["database"], self.options["format"], self.options["limit"]
        pause = settings.CONSISTENCY_CONFIRM if self.options["confirm"] is None else self.options["confirm"]
        if pause and self.stderr.isatty():
            self.stderr.write(f"Running two passes, {pause:g} s apart.")
        options: dict[str, Any] = {
            "database": database,
            "timeout": self.options["timeout"] or (STREAM_TIMEOUT if name in STREAM_FORMATS else PASS_TIMEOUT),
            "confirm": pause,
            "limit": DEFAULT_LIMITS.get(name) if limit is None else limit,
            "progress": progress,
            "consume": consume,
        }
        with deadline(2 * options["timeout"] + pause + RECORDING_TIMEOUT):
            if self.options["no_record"]:
                return Recorded(database=database, report=read_scan(checks, **options))
            self.recorded = record_scan(
                checks,
                trigger=Trigger.COMMAND,
                accept=[guard for guard in (TABLES, RATIO) if self.options[f"accept_{guard}"]],
                before_recording=progress.recording,
                keep=not self.options["dry_run_notices"],
                **options,
            )
        return self.recorded

    # --- Changes and notices -----------------------------------------------------------------------------
    def _stored_scan(self) -> RecordedScan | None:
        return self.recorded.scan if self.recorded and not self.options["dry_run_notices"] else None

    def _changes(self) -> dict[str, Any]:
        scan = self._stored_scan()
        return {} if self.options["no_record"] else {"recorded": scan.as_dict() if scan else None}

    def _changes_text(self, scan: RecordedScan) -> str:
        ended = scan.mutes_ended if self._stored_scan() else ()
        return "".join([*(f"\n{printable(str(mute))}\n" for mute in ended), f"\n{scan.changes}\n"])

    def _notify(self) -> None:
        if not (self.recorded and self.recorded.scan):
            return
        if self.options["dry_run_notices"]:
            # On stdout the preview would break JSON and CSV.
            out = self.stdout if self.options["format"] == "text" else self.stderr
            out.write(f"\n{preview(self.recorded)}", ending="")
            return
        for problem in notify(self.recorded):
            self.stderr.write(f"Notice not sent: {problem}.")

    # --- Exit code and style -----------------------------------------------------------------------------
    def _needs_attention(self, result: Recorded) -> bool:
        level = self.options["fail_level"]
        # With --fail-level never, the output is the only sign of a finding.
        return not result.report.complete or self._reaches(result, level if level <= max(Severity) else Severity.INFO)

    def _reaches(self, result: Recorded, level: int) -> bool:
        """Return True if an unsuppressed finding, with --only-new a new or returned one, is as severe as `level`."""
        if not (self.options["only_new"] and result.scan):
            return (result.report.worst or 0) >= level
        changes = result.scan.by_check
        checks = [outcome.check for outcome in result.report.outcomes if outcome.unsuppressed]
        return any(check.severity >= level and changes[check.name].appeared for check in checks)

    def _style(self) -> dict[str, bool]:
        terminal = self.stdout.isatty() and not self.options["output"]
        colour = self.options["force_color"] or (terminal and has_colour(self.stdout, **self.options))
        return {"terminal": terminal, "colour": colour}

    def _write(self, text: str) -> None:
        self.stdout.write(text, ending="")


def _stream(stream: StreamFormat, write: Write, engine: Engine, chunks: Iterable[Chunk]) -> Report:
    write(stream.head())
    for check, rows in shown_rows(chunks, engine.limit):
        write(stream.rows(check, rows))
    return engine.report


def _sql_text(check: Check, database: str) -> str:
    lines = [f"{statement};" for statement in statements(check, database)]
    return "\n".join([f"-- {check.name}: {check.title}", *(lines or ["-- No SQL: the check is external."])]) + "\n\n"
