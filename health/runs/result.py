"""The result of one probe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final

OK: Final = "ok"
DEGRADED: Final = "degraded"
ERROR: Final = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of the last run, or of a run without answer."""

    status: str
    reason: str | None = None
    note: str | None = None
    """Reason of NotApplicable, with status `ok`."""
    value: Mapping[str, Any] | None = None
    latency_ms: int = 0
    known: bool = True
    """False if the service may be well or not: no answer yet, an unfinished answer, or a bug of the probe."""
    began: float = 0.0
    """Monotonic instant at which the run began."""
    measured: float = 0.0
    """Monotonic instant at which the run ended."""
    checked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    since: datetime | None = None
    """Time of the change to this status; None if this process has seen no other status."""

    def message(self, title: str) -> str:
        """Return the reason or the note, else the title of the probe."""
        return self.reason or self.note or title


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, rounded up, so that a short run takes at least one."""
    return ceil(seconds * 1000)


def overall(results: Iterable[ProbeResult]) -> str:
    """Return `ok` if every result is ok, and `degraded` otherwise."""
    return OK if all(result.status == OK for result in results) else DEGRADED
