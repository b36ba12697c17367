"""The result of a scan: one outcome per check (clean, found, could not run) and the overall status."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consistency.models.history import Mute
from consistency.registry import Check, Severity
from consistency.scan.findings import Row, object_key
from consistency.scan.guards import NO_BASELINE, Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a check in a scan."""

    check: Check
    count: int | None
    """Exact number of findings; None if the check could not run."""
    rows: Sequence[Row] = ()
    """First findings by primary key, up to the limit of the scan. Streams leave this empty."""
    truncated: bool = False
    """True if there are more findings than the limit."""
    error: str | None = None
    """Reason why the check could not run, safe for clients."""
    duration_ms: int = 0
    acknowledged: int = 0
    """Findings with an acknowledged anomaly."""
    muted: int = 0
    """Further findings, suppressed by a mute of the check."""
    mute: Mute | None = None
    """Mute in force."""

    @property
    def unsuppressed(self) -> int:
        """Return the findings that decide status, exit code and notices."""
        return (self.count or 0) - self.acknowledged - self.muted


def could_not_run(check: Check, error: str, duration_ms: int = 0) -> Outcome:
    """Return the outcome of a check that could not run."""
    return Outcome(check=check, count=None, error=error, duration_ms=duration_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Result of a scan."""

    checked_at: datetime
    """Time of the database snapshot; on a standby the last replayed commit; without a snapshot the start."""
    outcomes: Sequence[Outcome]
    affected_files: int | None
    """Distinct files over the checks; None if a check could not run."""
    unreachable: str | None = None
    """Reason why PostgreSQL gave no snapshot, safe for clients."""
    baseline: Baseline = NO_BASELINE
    """Baseline of the next scan."""

    @property
    def complete(self) -> bool:
        """Return True if every check ran."""
        return all(outcome.error is None for outcome in self.outcomes)

    @property
    def worst(self) -> Severity | None:
        """Return the highest severity with an unsuppressed finding."""
        return max((outcome.check.severity for outcome in self.outcomes if outcome.unsuppressed), default=None)

    @property
    def status(self) -> str:
        """Return `degraded` for an unsuppressed finding above info or a check that could not run, else `ok`."""
        return "degraded" if not self.complete or (self.worst or 0) > Severity.INFO else "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressions:
    """Acknowledgements, mutes and baseline of one database, loaded before a scan."""

    acknowledged: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    """By check name: hashes of (object type, object id, detail). Hashes keep a million entries small."""
    mutes: Mapping[str, Mute] = field(default_factory=dict)
    """By check name."""
    baseline: Baseline = NO_BASELINE
    problem: str | None = None
    """Reason why the history could not be read. Without suppressions a recording would end mutes, so none is made."""

    def acknowledged_key(self, check: Check, row: Row) -> int | None:
        """Return the key of a row with an acknowledged anomaly, else None."""
        keys = self.acknowledged.get(check.name)
        if not keys:
            return None
        key = suppression_key(*object_key(row), row["detail"] or "")
        return key if key in keys else None


def suppression_key(object_type: str, object_id: str, detail: str) -> int:
    """Return the hash that identifies an acknowledged finding."""
    return hash((object_type, object_id, detail))


NO_SUPPRESSIONS: Final = Suppressions()
