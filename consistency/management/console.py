"""Render a report, the list of checks and the progress of a scan for people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from common.output import cell_text, new_table, render
from common.text import printable
from common.times import format_instant, time_left
from consistency.history.changes import Changes, RecordedScan
from consistency.registry import Check, Severity
from consistency.scan.findings import Row
from consistency.scan.formats import mute_text
from consistency.scan.report import Outcome, Report

COLOURS: Final = {Severity.INFO: "cyan", Severity.WARN: "yellow", Severity.ERROR: "red"}
NUMBERS: Final = ("found", "acknowledged", "muted", "ms")


def report_text(
    report: Report, *, database: str, scan: RecordedScan | None = None, terminal: bool, colour: bool
) -> str:
    """Return headline, overview and details of a report.

    Details of checks that affect the exit code come first, and suppressed checks last. `scan` is the recorded scan.
    """
    parts: list[RenderableType] = [_headline(report, database), Text(), _overview(report.outcomes)]
    for outcome in sorted(report.outcomes, key=_importance, reverse=True):
        if outcome.count or outcome.error:
            changes = scan.by_check[outcome.check.name] if scan else Changes()
            parts += [Text(), *_details(outcome, changes)]
    return render(*parts, terminal=terminal, colour=colour)


def checks_text(checks: Sequence[Check], *, terminal: bool, colour: bool) -> str:
    """Return a table of the registered checks."""
    table = new_table("check", "severity", "default", "tags", "title")
    for check in checks:
        default = "yes" if check.default else "no"
        table.add_row(check.name, _severity(check), default, ", ".join(check.tags), printable(check.title))
    return render(table, terminal=terminal, colour=colour)


def remaining(until: datetime) -> str:
    """Return the time until `until` for a terminal: `6 days, 3 hours left`."""
    return time_left(until).replace("\xa0", " ") + " left"


class Bar:
    """Progress of a scan. Call the object with each check before the check runs."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)
        self._started: set[Check] = set()

    def __call__(self, check: Check) -> None:
        # After a lost connection the same check starts again.
        self._bar.update(self._task, description=check.name, completed=len(self._started - {check}))
        self._started.add(check)

    def recording(self) -> None:
        """Show that all checks are complete and the recording has begun."""
        self._bar.update(self._task, description="recording", completed=len(self._started))


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Bar]:
    """Show a progress bar on stderr, which names the running check. Without `shown` write nothing."""
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        yield Bar(bar, total)


def _importance(outcome: Outcome) -> tuple[bool, int]:
    """Return a sort key: checks that could not run, then by severity, then suppressed checks."""
    return outcome.error is not None, outcome.check.severity if outcome.unsuppressed else 0


def _headline(report: Report, database: str) -> Text:
    style = "bold green" if report.status == "ok" else "bold yellow"
    affected = "?" if report.affected_files is None else report.affected_files
    rest = f" at {format_instant(report.checked_at)}, database {database}, affected files: {affected}"
    return Text.assemble((report.status, style), rest, "" if report.complete else ", incomplete")


def _overview(outcomes: Sequence[Outcome]) -> Table:
    suppressed = any(outcome.count and outcome.unsuppressed < outcome.count for outcome in outcomes)
    headings = ("acknowledged", "muted") if suppressed else ()
    table = new_table("check", "severity", "found", *headings, "ms", "title", numbers=NUMBERS)
    for outcome in outcomes:
        check = outcome.check
        count = Text("could not run", "bold red") if outcome.count is None else Text(str(outcome.count))
        counts = (str(outcome.acknowledged), str(outcome.muted)) if suppressed else ()
        table.add_row(check.name, _severity(check), count, *counts, str(outcome.duration_ms), printable(check.title))
    return table


def _details(outcome: Outcome, changes: Changes) -> Sequence[RenderableType]:
    name = (outcome.check.name, "bold")
    if outcome.error:
        return [Text.assemble(name, " could not run: ", printable(outcome.error))]
    counts = [f"{outcome.count} found", *_changes(changes), *_suppressions(outcome)]
    head = Text.assemble(name, ": ", ", ".join(counts))
    if not outcome.unsuppressed:
        return [head]
    head.append(f". {printable(outcome.check.hint)}")
    hidden = outcome.unsuppressed - len(outcome.rows)
    more = [Text(f"  ... and {hidden} more: --limit N, or --format ndjson for all")] if hidden else []
    return [head, _rows(outcome.rows), *more] if outcome.rows else [head]


def _changes(changes: Changes) -> list[str]:
    counts = {"new": changes.new, "returned": changes.returned}
    return [f"{count} {word}" for word, count in counts.items() if count]


def _suppressions(outcome: Outcome) -> Iterator[str]:
    if outcome.acknowledged:
        command = f"show_anomalies --check {outcome.check.name} --silenced 1"
        yield f"{outcome.acknowledged} acknowledged ({command})"
    if outcome.mute:
        yield mute_text(outcome.mute, f" ({remaining(outcome.mute.until)})")


def _rows(rows: Sequence[Row]) -> Padding:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = new_table(*keys)
    for row in rows:
        table.add_row(*(cell_text(row.get(key) or "") for key in keys))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _severity(check: Check) -> Text:
    return Text(check.severity.word, COLOURS[check.severity])
