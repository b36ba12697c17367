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
class Remembered:
    """What one scan changed."""

    news: dict[str, int]
    told: str | None
    """What people are told of the check."""


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
    silent_then: set[str] = field(default_factory=set)
    """What was silent when a scan last saw it."""
    fails: bool = False
    """Whether the check could not run when last asked."""

    def time_passes(self, days: int) -> None:
        self.acknowledged = {name: (left - days, detail) for name, (left, detail) in self.acknowledged.items()}
        if self.muted:
            self.muted.left -= days

    def is_open(self, name: str) -> bool:
        return name in self.known and self.known[name].state != "resolved"

    def could_not_run(self) -> str | None:
        """So it is with this scan; returns what people are told."""
        fails, self.fails = self.fails, True
        return None if fails else "worse"

    def remember(self, truth: Truth, doubted: Set[str] = frozenset()) -> Remembered:
        """A scan saw this, and differed about those, which stay as they were."""
        was_open, silent_then = set(filter(self.is_open, self.known)), self.silent_then
        silent = set(truth) if self.mute_holds(truth, doubted) else self.counted_silent(truth)
        self.silent_then = silent_then - truth.keys() | silent
        heard, gone = truth.keys() - silent, was_open - truth.keys() - doubted
        muted = self.muted is not None and self.muted.left > 0
        left = set() if muted else was_open & doubted - self.silent()
        news = self._news(truth, doubted)
        if heard and news["new"] + news["returned"]:
            told: str | None = "new"
        elif self.fails:
            told = "running again" if heard or left else "recovered"
        elif heard:
            told = "worse" if heard & was_open & silent_then else None
        else:
            told = "recovered" if gone - silent_then and not left else None
        self.fails = False
        return Remembered(news, told)

    def _news(self, truth: Truth, doubted: Set[str]) -> dict[str, int]:
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
