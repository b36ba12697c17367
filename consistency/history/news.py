"""What one recorded scan changed: its news in all and by check, and the mutes that ended with it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consistency.models.history import MuteEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one recorded check, or scan, changed."""

    new: int = 0
    returned: int = 0
    resolved: int = 0
    ongoing: int = 0
    heard_again: int = 0
    """How many were silent when last seen, and are not now."""
    resolved_silent: int = 0
    """Of the resolved, how many were silent when last seen."""
    left_heard: int = 0
    """Of what two looks differed about, how many are open as before and not silent now."""

    @property
    def any_news(self) -> bool:
        """Whether anything appeared or came back."""
        return self.new + self.returned > 0

    def __str__(self) -> str:
        return f"{self.new} new, {self.returned} returned, {self.resolved} resolved"


def why_ended(because: str, count: int | None, mark: int | None) -> str:
    """Why a mute ended by itself, for people; the count is what the scan found that ended it, if that is known."""
    more = "what was found" if count is None else f"{count:,}"
    why = {
        MuteEnd.TIME.value: "its time was over",
        MuteEnd.CLEAN.value: "it is clean",
        MuteEnd.EXCEEDED.value: f"{more} is more than {mark or 0:,}",
    }
    return why[because]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedMute:
    """A mute that ended by itself: at its time, or by the count that this scan found."""

    check: str
    by: str
    reason: str
    because: str
    count: int
    mark: int | None

    def __str__(self) -> str:
        return f"The mute of {self.check} by {self.by} ended: {why_ended(self.because, self.count, self.mark)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScan:
    """A scan that is in the memory, by number, with its news in all and by check."""

    id: int
    news: News
    by_check: dict[str, News]
    mutes_ended: Sequence[EndedMute] = ()

    def as_dict(self) -> dict[str, Any]:
        """What JSON says under `recorded`."""
        return {
            "scan": self.id,
            "new": self.news.new,
            "returned": self.news.returned,
            "resolved": self.news.resolved,
            "mutes_ended": [asdict(mute) for mute in self.mutes_ended],
        }
