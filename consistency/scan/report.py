"""What a scan says: per check one of three outcomes (clean, found, could not run), and what follows for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from consistency.registry import Check, Severity
from consistency.scan.findings import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted:
    """Why a whole check is silent: until when at the latest, by whom, and the reason given."""

    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one check came to."""

    check: Check
    count: int | None
    """How many findings, exactly; None if the check could not run."""
    rows: Sequence[Row] = ()
    """The first findings by primary key, at most as many as were asked for; none where they were streamed."""
    truncated: bool = False
    """Whether there are more findings than were asked for."""
    error: str | None = None
    """Why it could not run, in words fit for outside."""
    duration_ms: int = 0
    acknowledged: int = 0
    """How many of the findings somebody has acknowledged, each by itself."""
    muted: int = 0
    """How many more are silent because the whole check is muted."""
    mute: Muted | None = None
    """That mute; None while nothing is silent through one."""
    doubted: bool = False
    """Whether two looks differed about some object, which is then not found and not gone either: it stays as it was."""

    @property
    def loud(self) -> int:
        """How many findings are neither acknowledged nor muted: these alone decide a status or an exit code."""
        return (self.count or 0) - self.acknowledged - self.muted


def could_not_run(check: Check, error: str, duration_ms: int = 0) -> Outcome:
    """The third outcome: neither clean nor found."""
    return Outcome(check=check, count=None, error=error, duration_ms=duration_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one scan came to."""

    checked_at: datetime
    """When its snapshot was taken, or until when the data of a standby reached; when it was tried, if there is none."""
    outcomes: Sequence[Outcome]
    affected_files: int | None
    """Distinct files over all checks; None if a check over files could not run."""
    unreachable: str | None = None
    """Why there is no snapshot at all, in words fit for outside."""

    @property
    def complete(self) -> bool:
        """Whether every check ran."""
        return all(outcome.error is None for outcome in self.outcomes)

    @property
    def worst(self) -> Severity | None:
        """The highest severity that found something which nobody has silenced."""
        return max((outcome.check.severity for outcome in self.outcomes if outcome.loud), default=None)

    @property
    def status(self) -> str:
        """`degraded` if something worse than info was found and not silenced, or a check could not run; else `ok`."""
        return "degraded" if not self.complete or (self.worst or 0) > Severity.INFO else "ok"
