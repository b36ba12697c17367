"""A report for people: a table, then what was found in each check and what to do about it."""

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from common.text import printable
from common.times import format_instant
from consistency.history.news import News, RecordedScan
from consistency.registry import Check, Severity
from consistency.scan.findings import Row
from consistency.scan.formats import muted_words
from consistency.scan.report import Outcome, Report

COLOURS: Final = {Severity.INFO: "cyan", Severity.WARN: "yellow", Severity.ERROR: "red"}
UNBOUNDED: Final = 100_000


def report_text(
    report: Report, *, database: str, scan: RecordedScan | None = None, terminal: bool, colour: bool
) -> str:
    """The whole report, with what is news if it is recorded; what decides the exit code is told first, what is
    silent last. Cut to the terminal's width only where there is a terminal.
    """
    parts: list[RenderableType] = [_headline(report, database), Text(), _overview(report.outcomes)]
    for outcome in sorted(report.outcomes, key=_weight, reverse=True):
        if outcome.count or outcome.error:
            news = scan.by_check[outcome.check.name] if scan else News()
            parts += [Text(), *_details(outcome, news)]
    return render(parts, terminal=terminal, colour=colour)


def _weight(outcome: Outcome) -> tuple[bool, int]:
    """Not run is worst; then by severity, of which what is silent has none."""
    return outcome.error is not None, outcome.check.severity if outcome.loud else 0


def checks_text(checks: Sequence[Check], *, terminal: bool, colour: bool) -> str:
    """The registry, one check a line."""
    table = _table("check", "severity", "default", "tags", "title")
    for check in checks:
        default = "yes" if check.default else "no"
        table.add_row(check.name, _severity(check), default, ", ".join(check.tags), printable(check.title))
    return render([table], terminal=terminal, colour=colour)


def render(parts: Sequence[RenderableType], *, terminal: bool, colour: bool) -> str:
    """The parts as text, with escapes for colour only if asked for."""
    text = io.StringIO()
    console = Console(
        file=text,
        width=shutil.get_terminal_size().columns if terminal else UNBOUNDED,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in parts:
        console.print(part, soft_wrap=not terminal and isinstance(part, Text))
    return "".join(line.rstrip(" ") + "\n" for line in text.getvalue().splitlines())


class Bar:
    """A scan's way on a terminal: called with each check before it runs."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)
        self._asked: set[Check] = set()

    def __call__(self, check: Check) -> None:
        # One that is asked again, after the connection was lost, is not done.
        self._bar.update(self._task, description=check.name, completed=len(self._asked - {check}))
        self._asked.add(check)

    def recording(self) -> None:
        """All have been asked, and what was found is written down."""
        self._bar.update(self._task, description="recording", completed=len(self._asked))


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Bar]:
    """A bar on stderr that names the check under way; nothing at all unless shown."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=console, transient=True, disable=not shown
    ) as bar:
        yield Bar(bar, total)


def _headline(report: Report, database: str) -> Text:
    style = "bold green" if report.status == "ok" else "bold yellow"
    affected = "?" if report.affected_files is None else report.affected_files
    rest = f" at {format_instant(report.checked_at)}, database {database}, affected files: {affected}"
    return Text.assemble((report.status, style), rest, "" if report.complete else ", incomplete")


def _overview(outcomes: Sequence[Outcome]) -> Table:
    silent = any(outcome.count and outcome.loud < outcome.count for outcome in outcomes)
    table = _table("check", "severity", "found", *(("acknowledged", "muted") if silent else ()), "ms", "title")
    for outcome in outcomes:
        check = outcome.check
        found = Text("could not run", "bold red") if outcome.count is None else Text(str(outcome.count))
        counts = (str(outcome.acknowledged), str(outcome.muted)) if silent else ()
        table.add_row(check.name, _severity(check), found, *counts, str(outcome.duration_ms), printable(check.title))
    return table


def _details(outcome: Outcome, news: News) -> Sequence[RenderableType]:
    if outcome.error:
        return [Text.assemble((outcome.check.name, "bold"), " could not run: ", printable(outcome.error))]
    told = [f"{outcome.count} found", *_news(news), *_silence(outcome)]
    head = Text.assemble((outcome.check.name, "bold"), ": ", ", ".join(told))
    if not outcome.loud:
        return [head]
    head.append(f". {printable(outcome.check.hint)}")
    hidden = outcome.loud - len(outcome.rows)
    more = [Text(f"  ... and {hidden} more: --limit N, or --format ndjson for all")] if hidden else []
    return [head, _rows(outcome.rows), *more] if outcome.rows else [head]


def _news(news: News) -> list[str]:
    counts = {"new": news.new, "returned": news.returned}
    return [f"{count} {word}" for word, count in counts.items() if count]


def _silence(outcome: Outcome) -> list[str]:
    """What is silent is counted, not shown: it decides nothing."""
    how_to_see = f"show_anomalies --check {outcome.check.name} --silenced 1"
    acknowledged = [f"{outcome.acknowledged} acknowledged ({how_to_see})"] if outcome.acknowledged else []
    return acknowledged + ([muted_words(outcome.mute, f" ({left(outcome.mute.until)})")] if outcome.mute else [])


def left(until: datetime) -> str:
    """The time left, in the two largest units that matter: `6 d 3 h`."""
    minutes = max(0, int((until - datetime.now(UTC)).total_seconds()) // 60)
    parts = {"d": minutes // 1440, "h": minutes // 60 % 24, "min": minutes % 60}
    told = [f"{number} {unit}" for unit, number in parts.items() if number][:2]
    return " ".join(told or ["less than a minute"]) + " left"


def _rows(rows: Sequence[Row]) -> Padding:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = _table(*keys)
    for row in rows:
        table.add_row(*(printable(row.get(key) or "") for key in keys))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _severity(check: Check) -> Text:
    return Text(check.severity.word, COLOURS[check.severity])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column, overflow="fold", justify="right" if column in ("found", "acknowledged", "muted", "ms") else "left"
        )
    return table
