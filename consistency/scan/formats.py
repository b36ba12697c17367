"""What a report looks like as JSON, NDJSON and CSV: the same words on REST, in the terminal and in files."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from common.text import printable
from common.times import format_instant
from consistency.scan.report import Muted, Outcome, Report
from consistency.scan.stream import Stream

CSV_COLUMNS: Final = ("check", "severity", "object_type", "object_id", "file_uuid", "file_name", "status", "detail")
# A spreadsheet runs a cell that begins with one of = + - @ (some take the wide ones too) as a formula, and file names
# come from anybody. Where a language writes 1,5 the separator is `;`: quotes in mid-line then hold nothing together,
# and a text goes on in a next cell after `;`, tab or a new line, be it behind blanks or an empty pair of quotes.
_UNSEEN: Final = r"\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_START: Final = rf'\A(?:(?![\t\r\n])[{_UNSEEN}])*|[;\t\r\n][{_UNSEEN}"]*'
# The sign may be absent, so that each blank is looked at once, however many there are.
_CELL: Final = re.compile(rf"({_START})([=+\-@\uff1d\uff0b\uff0d\uff20]?)")


Ending: TypeAlias = Callable[[Report], dict[str, Any]]


def nothing(report: Report) -> dict[str, Any]:
    """No more than the report itself."""
    return {}


def as_dict(report: Report, *, rows: bool = True) -> dict[str, Any]:
    """The report as the contract has it; without rows it is the last line of a stream."""
    return {
        "status": report.status,
        "checked_at": format_instant(report.checked_at),
        "complete": report.complete,
        "affected_files": report.affected_files,
        "checks": [_outcome(outcome) | ({"files": list(outcome.rows)} if rows else {}) for outcome in report.outcomes],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    told = {
        "check": outcome.check.name,
        "severity": outcome.check.severity.word,
        "count": outcome.count,
        "acknowledged": outcome.acknowledged,
        "muted": outcome.muted,
        "truncated": outcome.truncated,
        "duration_ms": outcome.duration_ms,
        "hint": outcome.check.hint,
    }
    return told | _mute(outcome.mute) | ({"error": outcome.error} if outcome.error else {})


def _mute(mute: Muted | None) -> dict[str, str]:
    return {"muted_until": format_instant(mute.until), "muted_by": mute.by, "muted_reason": mute.reason} if mute else {}


def ndjson(stream: Stream, ending: Ending = nothing) -> Iterator[str]:
    """One line per finding, in pieces of many lines; the last line is the report without its rows, and `ending`."""
    for check, rows in stream:
        named = {"check": check.name, "severity": check.severity.word}
        yield "".join(json.dumps(named | row) + "\n" for row in rows)
    report = stream.report
    yield json.dumps(as_dict(report, rows=False) | ending(report)) + "\n"


def csv_pieces(stream: Stream, ending: Ending = nothing) -> Iterator[str]:
    """A header, one record per finding, in pieces of many; the last line, after a `#`, says how it ended."""
    yield csv_records([CSV_COLUMNS])
    for check, rows in stream:
        named = {"check": check.name, "severity": check.severity.word}
        yield csv_records([safe_cell((named | row).get(column) or "") for column in CSV_COLUMNS] for row in rows)
    report = stream.report
    # Reasons of mutes are among it.
    yield f"# {safe_cell(_ending(report, ending(report)))}\r\n"


def _ending(report: Report, more: Mapping[str, Any]) -> str:
    counts = [f"{outcome.check.name}: {outcome.error or _counted(outcome)}" for outcome in report.outcomes]
    told = [
        f"complete: {str(report.complete).lower()}",
        f"status: {report.status}",
        f"checked_at: {format_instant(report.checked_at)}",
    ]
    recorded = [f"{word}: {_in_words(value)}" for word, value in (more.get("recorded") or {}).items()]
    return ", ".join(told + counts + recorded)


def _in_words(value: Any) -> str:
    """A number; or of the mutes that ended each check and why."""
    if not isinstance(value, list):
        return str(value)
    return "; ".join(f"{mute['check']} ({mute['because']})" for mute in value) or "none"


def _counted(outcome: Outcome) -> str:
    silent = {"acknowledged": outcome.acknowledged, muted_words(outcome.mute): outcome.muted}
    told = "; ".join(f"{number} {words}" for words, number in silent.items() if number)
    return f"{outcome.count} ({told})" if told else f"{outcome.count}"


def muted_words(mute: Muted | None, left: str = "") -> str:
    """Who muted a check, until when and why, in one line, whatever was given as the reason."""
    if mute is None:
        return "muted"
    return f"muted by {printable(mute.by)} until {format_instant(mute.until)}{left}: {printable(mute.reason)}"


def csv_records(records: Iterable[Iterable[str]]) -> str:
    """Lines of CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(records)
    return text.getvalue()


def safe_cell(cell: str) -> str:
    """The cell, such that no spreadsheet takes it, or a part of it, for a formula: with an apostrophe before each sign
    that would begin one.
    """
    return _CELL.sub(lambda start: f"{start[1]}'{start[2]}" if start[2] else start[1], cell)
