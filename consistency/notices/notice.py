"""What is worth telling after a scan: what is new, worse, recovered or running again and not silenced; never what is
still so.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.times import format_instant
from consistency.history.lists import before
from consistency.history.news import News, RecordedScan
from consistency.models.history import ScanCheck
from consistency.registry import Severity
from consistency.scan.report import Outcome, Report

NEW: Final = "new"
WORSE: Final = "worse"
RECOVERED: Final = "recovered"
"""Nothing is left that decides a status: whoever opened an incident may close it."""
RUNNING_AGAIN: Final = "running again"
"""It could not run, now it does, and some of what it finds is still neither acknowledged nor muted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one check differs from the last recorded scan that ran it."""

    kind: str
    outcome: Outcome
    news: News

    def as_dict(self) -> dict[str, Any]:
        """For programs; counts only, no file names."""
        outcome = self.outcome
        return {
            "check": outcome.check.name,
            "change": self.kind,
            "severity": outcome.check.severity.word,
            "new": self.news.new,
            "returned": self.news.returned,
            "resolved": self.news.resolved,
            "count": outcome.count,
            "acknowledged": outcome.acknowledged,
            "muted": outcome.muted,
            "error": outcome.error,
            "title": outcome.check.title,
            "hint": outcome.check.hint,
        }

    def __str__(self) -> str:
        outcome = self.outcome
        found = f"could not run: {outcome.error}" if outcome.error else f"{self.news}; {outcome.count} in all"
        return f"{self.kind}: {outcome.check.name} ({outcome.check.severity.word}): {found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message about one scan."""

    report: Report
    scan: RecordedScan
    database: str
    changes: Sequence[Change]

    @property
    def subject(self) -> str:
        """What happened, in a line: `2 checks new, 1 check recovered (database default)`."""
        kinds = Counter(change.kind for change in self.changes)
        told = ", ".join(f"{number} check{'s' if number > 1 else ''} {kind}" for kind, number in kinds.items())
        return f"Consistency {self.report.status}: {told} (database {self.database})"

    @property
    def text(self) -> str:
        """For people."""
        where = f"Scan {self.scan.id} of database {self.database}"
        head = f"{where}, {format_instant(self.report.checked_at)}: {self.report.status}."
        lines = [line for change in self.changes for line in _lines(change)]
        return "\n".join([head, "", *lines, "manage.py show_anomalies and the admin have the rows."]) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "event": "consistency.scan",
            "summary": self.subject,
            "database": self.database,
            "status": self.report.status,
            "complete": self.report.complete,
            "checked_at": format_instant(self.report.checked_at),
            "recorded": self.scan.as_dict(),
            "changes": [change.as_dict() for change in self.changes],
        }


def _lines(change: Change) -> list[str]:
    hint = [] if change.kind == RECOVERED else [f"  {change.outcome.check.hint}"]
    return [str(change), f"  {change.outcome.check.title}", *hint, ""]


def notice_of(report: Report, scan: RecordedScan, database: str) -> Notice | None:
    """What this recorded scan gives to tell; None if all is as it was."""
    found = [_change(outcome, scan, database) for outcome in report.outcomes]
    changes = [change for change in found if change]
    return Notice(report=report, scan=scan, database=database, changes=changes) if changes else None


def _change(outcome: Outcome, scan: RecordedScan, database: str) -> Change | None:
    news = scan.by_check[outcome.check.name]
    kind = kind_of(outcome, news, before(scan.id, outcome.check.name, database))
    return Change(kind=kind, outcome=outcome, news=news) if kind else None


def kind_of(outcome: Outcome, news: News, last: ScanCheck | None) -> str | None:
    """What became of a check since it was last recorded. Info decides no status: only that it cannot be asked is told,
    and the end of that.
    """
    could_not_run = last is not None and last.outcome == "could_not_run"
    if outcome.error:
        return None if could_not_run else WORSE
    if outcome.check.severity <= Severity.INFO:
        return RECOVERED if could_not_run else None
    if outcome.loud and news.any_news:
        return NEW
    if could_not_run:
        return RUNNING_AGAIN if outcome.loud or news.left_heard else RECOVERED
    if outcome.loud:
        # Sums would hide one behind another: each anomaly knows whether it was silent.
        return WORSE if news.heard_again else None
    mended = news.resolved > news.resolved_silent
    return RECOVERED if mended and not news.left_heard else None
