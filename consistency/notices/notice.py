"""Build the notice of a recorded scan: checks that are new, worse, recovered or running again, and a reminder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.times import format_instant
from consistency.history.changes import Changes, RecordedScan
from consistency.history.queries import previous_run
from consistency.history.scanning import Recorded
from consistency.models.history import ScanCheck
from consistency.notices.reminders import Reminder, reminder_of
from consistency.registry import Severity
from consistency.scan.report import Outcome, Report

NEW: Final = "new"
WORSE: Final = "worse"
RECOVERED: Final = "recovered"
"""No unsuppressed finding remains: a receiver may close the incident."""
RUNNING_AGAIN: Final = "running again"
"""The check could not run, runs now, and has unsuppressed findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNotice:
    """Change of a check since the last recorded scan of the check."""

    kind: str
    outcome: Outcome
    changes: Changes

    def as_dict(self) -> dict[str, Any]:
        """Return the change for programs: counts, no file names."""
        outcome = self.outcome
        return {
            "check": outcome.check.name,
            "change": self.kind,
            "severity": outcome.check.severity.word,
            "new": self.changes.new,
            "returned": self.changes.returned,
            "resolved": self.changes.resolved,
            "count": outcome.count,
            "acknowledged": outcome.acknowledged,
            "muted": outcome.muted,
            "error": outcome.error,
            "title": outcome.check.title,
            "hint": outcome.check.hint,
            "runbook": outcome.check.runbook,
        }

    @property
    def lines(self) -> list[str]:
        """Return the change for people."""
        outcome = self.outcome
        result = f"could not run: {outcome.error}" if outcome.error else f"{self.changes}; {outcome.count} in all"
        first = f"{self.kind}: {outcome.check.name} ({outcome.check.severity.word}): {result}"
        advice = () if self.kind == RECOVERED else (outcome.check.hint, outcome.check.runbook)
        return [first, *(f"  {line}" for line in (outcome.check.title, *advice) if line), ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Message about a scan."""

    report: Report
    scan: RecordedScan
    database: str
    checks: Sequence[CheckNotice]
    reminder: Reminder

    @property
    def subject(self) -> str:
        """Return a line: `Consistency degraded: 2 checks new, 1 check recovered (database default)`."""
        kinds = Counter(check.kind for check in self.checks)
        parts = [f"{number} check{'s' if number > 1 else ''} {kind}" for kind, number in kinds.items()]
        parts += self.reminder.parts
        return f"Consistency {self.report.status}: {', '.join(parts)} (database {self.database})"

    @property
    def text(self) -> str:
        """Return the message for people."""
        at = format_instant(self.report.checked_at)
        head = f"Scan {self.scan.id} of database {self.database}, {at}: {self.report.status}."
        lines = [line for check in self.checks for line in check.lines] + self.reminder.lines
        return "\n".join([head, "", *lines, "manage.py show_anomalies and the admin have the rows."]) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return the message for programs."""
        return {
            "event": "consistency.scan",
            "summary": self.subject,
            "database": self.database,
            "status": self.report.status,
            "complete": self.report.complete,
            "checked_at": format_instant(self.report.checked_at),
            "recorded": self.scan.as_dict(),
            "changes": [check.as_dict() for check in self.checks],
            "ending": self.reminder.as_dict(),
        }


def notice_of(recorded: Recorded) -> Notice | None:
    """Return the notice about a recorded scan; None if the scan is not recorded or has no news."""
    scan = recorded.scan
    if scan is None:
        return None
    checks = []
    for outcome in recorded.report.outcomes:
        changes = scan.by_check[outcome.check.name]
        if kind := kind_of(outcome, changes, previous_run(scan.id, outcome.check.name, recorded.database)):
            checks.append(CheckNotice(kind=kind, outcome=outcome, changes=changes))
    reminder = reminder_of(scan.id, recorded.database)
    if not checks and not reminder:
        return None
    return Notice(report=recorded.report, scan=scan, database=recorded.database, checks=checks, reminder=reminder)


def kind_of(outcome: Outcome, changes: Changes, previous: ScanCheck | None) -> str | None:
    """Return the change of a check since the previous run; None without a change to report.

    Findings of an info check are not reported. Its failures to run are.
    """
    could_not_run = previous is not None and previous.count is None
    if outcome.error:
        return None if could_not_run else WORSE
    if outcome.check.severity <= Severity.INFO:
        return RECOVERED if could_not_run else None
    if outcome.unsuppressed and changes.appeared:
        return NEW
    unsuppressed = outcome.unsuppressed or changes.kept_unsuppressed
    if could_not_run:
        return RUNNING_AGAIN if unsuppressed else RECOVERED
    if unsuppressed:
        return WORSE if changes.no_longer_suppressed else None
    return RECOVERED if changes.resolved > changes.resolved_suppressed else None
