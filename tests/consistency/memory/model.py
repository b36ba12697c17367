"""What the memory should say of one database: the small model that the machine of events holds it against."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

NEWS = ("new", "returned", "resolved", "ongoing")
Truth = dict[str, str]
"""By object that breaks the check, its detail."""


@dataclass
class Known:
    state: str
    detail: str
    times: int
    returned: int


@dataclass
class Muted:
    left: int
    sticky: bool
    mark: int | None


@dataclass
class Place:
    """What is remembered after the last scan in which the check completed."""

    known: dict[str, Known] = field(default_factory=dict)
    acknowledged: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By object, days left and the detail that it is about."""
    muted: Muted | None = None
    last_count: int | None = None

    def time_passes(self, days: int) -> None:
        self.acknowledged = {name: (left - days, detail) for name, (left, detail) in self.acknowledged.items()}
        if self.muted:
            self.muted.left -= days

    def is_open(self, name: str) -> bool:
        return name in self.known and self.known[name].state != "resolved"

    def remember(self, truth: Truth, doubted: Set[str] = frozenset()) -> dict[str, int]:
        """A scan saw this, and differed about those, which stay as they were; returns the news of it."""
        seen = (truth.keys() | self.known.keys()) - doubted
        count = Counter(self._next(name, truth) for name in seen)
        self.last_count = max(len(truth), sum(map(self.is_open, self.known)))
        if not self.mute_holds(truth, doubted):
            self.muted = None
        if self.muted and not doubted:
            self.muted.mark = len(truth) if self.muted.mark is None else min(self.muted.mark, len(truth))
        return {state: count[state] for state in NEWS}

    def _next(self, name: str, truth: Truth) -> str:
        before, was_open = self.known.get(name), self.is_open(name)
        if name not in truth:
            if before:
                before.state = "resolved"
            return "resolved" if was_open else "nothing"
        before = before or Known("", "", 0, 0)
        state = "ongoing" if was_open else "returned" if before.times else "new"
        self.known[name] = Known(state, truth[name], before.times + 1, before.returned + (state == "returned"))
        left, detail = self.acknowledged.get(name, (0, ""))
        if not was_open or left <= 0 or detail != truth[name]:
            self.acknowledged.pop(name, None)
        return state

    def mute_holds(self, truth: Truth, doubted: Set[str] = frozenset()) -> bool:
        if self.muted is None or self.muted.left <= 0:
            return False
        mark = self.muted.mark
        return self.muted.sticky or (len(truth.keys() | doubted) > 0 and (mark is None or len(truth) <= mark))

    def silent(self) -> set[str]:
        """What is acknowledged now."""
        return {name for name, (left, _) in self.acknowledged.items() if left > 0 and self.is_open(name)}

    def counted_silent(self, truth: Truth) -> set[str]:
        """What a look that sees this counts as acknowledged."""
        return {name for name in self.silent() if truth.get(name) == self.acknowledged[name][1]}
