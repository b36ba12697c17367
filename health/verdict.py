"""What one probe found, with its age: the value that travels from the probe's thread to whoever reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final

OK: Final = "ok"
DEGRADED: Final = "degraded"
ERROR: Final = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one probe found, as it may be believed now."""

    status: str
    reason: str | None = None
    note: str | None = None
    """Why `ok` is no finding: nothing is to be asked, or nothing is there yet."""
    value: Mapping[str, Any] | None = None
    latency_ms: int = 0
    known: bool = True
    """False where nothing was learned about the world: no answer yet, or our own code failed."""
    began: float = 0.0
    measured: float = 0.0
    """Monotonic instants at which the run that found it began to ask, and ended."""
    checked_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, rounded up: what took any time at all took at least one."""
    return ceil(seconds * 1000)


def overall(verdicts: Iterable[Verdict]) -> str:
    """The status of them all together, in the contract's two words."""
    return OK if all(verdict.status == OK for verdict in verdicts) else DEGRADED
