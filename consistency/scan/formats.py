"""Write findings as NDJSON and CSV, the same for REST, terminal and files."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from common.text import printable
from common.times import format_instant
from consistency.models.history import Mute
from consistency.registry import Check
from consistency.scan.findings import Row
from consistency.scan.report import Outcome, Report
from consistency.scan.serializers import report_data

CSV_COLUMNS: Final = ("check", "severity", "object_type", "object_id", "file_uuid", "file_name", "status", "detail")
# A spreadsheet runs a cell that begins with = + - @ as a formula, and file names come from anybody. Where the separator
# is `;`, a text continues in a new cell after `;`, tab or newline, even behind blanks or an empty pair of quotes.
_INVISIBLE: Final = r"\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_START: Final = rf'\A(?:(?![\t\r\n])[{_INVISIBLE}])*|[;\t\r\n][{_INVISIBLE}"]*'
# The sign is optional, so the pattern reads each blank once.
_CELL: Final = re.compile(rf"({_START})([=+\-@\uff1d\uff0b\uff0d\uff20]?)")


class StreamFormat(Protocol):
    """A text format that is written chunk by chunk."""

    content_type: str

    def head(self) -> str:
        """Return the text before the first finding."""

    def rows(self, check: Check, rows: Sequence[Row]) -> str:
        """Return the text of findings."""

    def ending(self, report: Report, more: Mapping[str, Any]) -> str:
        """Return the last line: the report without rows, and the keys of `more`."""


class NDJSON:
    """A line of JSON per finding."""

    content_type = "application/x-ndjson"

    def head(self) -> str:
        return ""

    def rows(self, check: Check, rows: Sequence[Row]) -> str:
        head = {"check": check.name, "severity": check.severity.word}
        return "".join(json.dumps(head | row) + "\n" for row in rows)

    def ending(self, report: Report, more: Mapping[str, Any]) -> str:
        return json.dumps(report_data(report, rows=False) | dict(more)) + "\n"


class CSV:
    """A header, a record per finding, and a last line that begins with `#`."""

    content_type = "text/csv; charset=utf-8"

    def head(self) -> str:
        return csv_records([CSV_COLUMNS])

    def rows(self, check: Check, rows: Sequence[Row]) -> str:
        head = {"check": check.name, "severity": check.severity.word}
        return csv_records([safe_cell((head | row).get(column) or "") for column in CSV_COLUMNS] for row in rows)

    def ending(self, report: Report, more: Mapping[str, Any]) -> str:
        return f"# {safe_cell(_ending_text(report, more))}\r\n"


STREAM_FORMATS: Final[dict[str, StreamFormat]] = {"ndjson": NDJSON(), "csv": CSV()}


def _ending_text(report: Report, more: Mapping[str, Any]) -> str:
    values = {
        "complete": str(report.complete).lower(),
        "status": report.status,
        "checked_at": format_instant(report.checked_at),
        **{outcome.check.name: outcome.error or _count_text(outcome) for outcome in report.outcomes},
        **{name: _value_text(value) for name, value in (more.get("recorded") or {}).items()},
    }
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _value_text(value: Any) -> str:
    """Return a number, or the ended mutes with the causes."""
    if not isinstance(value, list):
        return str(value)
    return "; ".join(f"{mute['check']} ({mute['because']})" for mute in value) or "none"


def _count_text(outcome: Outcome) -> str:
    suppressed = {"acknowledged": outcome.acknowledged, mute_text(outcome.mute): outcome.muted}
    parts = "; ".join(f"{number} {text}" for text, number in suppressed.items() if number)
    return f"{outcome.count} ({parts})" if parts else f"{outcome.count}"


def mute_text(mute: Mute | None, remaining: str = "") -> str:
    """Return author, end and reason of a mute in one line; `remaining` follows the end."""
    if mute is None:
        return "muted"
    return f"muted by {printable(mute.by)} until {format_instant(mute.until)}{remaining}: {printable(mute.reason)}"


def csv_records(records: Iterable[Iterable[str]]) -> str:
    """Return lines of CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(records)
    return text.getvalue()


def safe_cell(cell: str) -> str:
    """Return the cell with an apostrophe before each sign that a spreadsheet would take for a formula."""
    return _CELL.sub(lambda start: f"{start[1]}'{start[2]}" if start[2] else start[1], cell)
