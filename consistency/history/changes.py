"""Values for the changes of a recorded scan."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consistency.models.history import MuteEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Number of anomalies by change, for one check or a whole scan."""

    new: int = 0
    returned: int = 0
    resolved: int = 0
    ongoing: int = 0
    no_longer_suppressed: int = 0
    """Open anomalies, suppressed in the previous run but not in this run."""
    resolved_suppressed: int = 0
    """Resolved anomalies, suppressed in the previous run."""
    kept: int = 0
    """Anomalies kept open: only one of two passes saw the object."""
    kept_unsuppressed: int = 0

    @property
    def appeared(self) -> int:
        """Return the number of new and returned anomalies."""
        return self.new + self.returned

    def __str__(self) -> str:
        return f"{self.new} new, {self.returned} returned, {self.resolved} resolved"


def mute_end_text(because: str, count: int | None, mark: int | None) -> str:
    """Return the cause of the end of a mute, for people; `count` is None if the findings are unknown."""
    more = "the count" if count is None else f"{count:,}"
    causes = {
        MuteEnd.TIME.value: "the time was over",
        MuteEnd.CLEAN.value: "the check is clean",
        MuteEnd.EXCEEDED.value: f"{more} is more than {mark or 0:,}",
    }
    return causes[because]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedMute:
    """A mute that a scan ended: after its time, or by the count of the scan."""

    check: str
    by: str
    reason: str
    because: str
    count: int
    mark: int | None

    def __str__(self) -> str:
        return f"The mute of {self.check} by {self.by} ended: {mute_end_text(self.because, self.count, self.mark)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScan:
    """A scan in the history, with its changes in total and by check."""

    id: int
    changes: Changes
    by_check: dict[str, Changes]
    mutes_ended: Sequence[EndedMute] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the value of `recorded` in JSON."""
        return {
            "scan": self.id,
            "new": self.changes.new,
            "returned": self.changes.returned,
            "resolved": self.changes.resolved,
            "mutes_ended": [asdict(mute) for mute in self.mutes_ended],
        }
