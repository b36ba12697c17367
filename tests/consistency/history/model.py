"""A small model of the history of one check on one database, for the state machine."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

CHANGES = ("new", "returned", "resolved", "ongoing")
Findings = dict[str, str]
"""Detail by object that breaks the check."""


@dataclass
class ModelAnomaly:
    state: str
    detail: str
    times_seen: int
    returned_count: int
    events: list[str]


@dataclass
class Effect:
    """Effect of one scan."""

    changes: dict[str, int]
    notice: str | None


@dataclass
class ModelMute:
    days: int
    sticky: bool
    mark: int | None

    def holds(self, count: int) -> bool:
        return self.days > 0 and (self.sticky or (count > 0 and (self.mark is None or count <= self.mark)))


@dataclass
class ModelHistory:
    """History of the check after its last run."""

    anomalies: dict[str, ModelAnomaly] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Days until the end by object, also for resolved anomalies."""
    mute: ModelMute | None = None
    last_count: int | None = None
    suppressed_before: set[str] = field(default_factory=set)
    """Open anomalies that the last run suppressed."""
    failed: bool = False
    """True if the check could not run in the last scan."""

    def pass_time(self, days: int) -> None:
        self.acknowledged = {name: left - days for name, left in self.acknowledged.items()}
        if self.mute:
            self.mute.days -= days

    # --- Actions -----------------------------------------------------------------------------------------
    def acknowledge(self, name: str, days: int) -> int:
        if not self.is_open(name):
            return 0
        self.acknowledged[name] = days
        self.anomalies[name].events.append("acknowledged")
        return 1

    def end_acknowledgement(self, name: str) -> int:
        if self.acknowledged.get(name, 0) <= 0:
            return 0
        self._end_acknowledgement(name)
        return 1

    # --- Scans -------------------------------------------------------------------------------------------
    def could_not_run(self) -> str | None:
        """Record a scan in which the check could not run; return the notice."""
        failed, self.failed = self.failed, True
        return None if failed else "worse"

    def run(self, findings: Findings, unconfirmed: Set[str] = frozenset()) -> Effect:
        """Record a run of the check. Open anomalies of `unconfirmed` objects stay open, with their detail."""
        was_open = set(filter(self.is_open, self.anomalies))
        kept = was_open & unconfirmed
        muted = self.mute is not None and self.mute.holds(max(len(findings), 1))
        self._end_acknowledgements(findings, was_open)
        changes = Counter(self._change(name, findings) for name in findings.keys() | was_open - kept)
        for name in kept:
            self._see(name, self.anomalies[name].detail)
        now_open = was_open & kept | findings.keys()
        suppressed = now_open if muted else self.acknowledged_now()
        notice = self._notice(changes, findings.keys() - suppressed, kept - suppressed, was_open, now_open)
        self.suppressed_before, self.failed, self.last_count = suppressed, False, len(now_open)
        self._end_or_lower_mute(len(findings), kept)
        changes["ongoing"] += len(kept)
        return Effect({word: changes[word] for word in CHANGES}, notice)

    def _notice(
        self, changes: Counter[str], found: Set[str], kept: Set[str], was_open: Set[str], now_open: Set[str]
    ) -> str | None:
        """Return the notice; `found` and `kept` are unsuppressed."""
        if found and changes["new"] + changes["returned"]:
            return "new"
        if self.failed:
            return "running again" if found | kept else "recovered"
        if found | kept:
            return "worse" if (found | kept) & was_open & self.suppressed_before else None
        return "recovered" if was_open - now_open - self.suppressed_before else None

    def _change(self, name: str, findings: Findings) -> str:
        if name not in findings:
            self.anomalies[name].state = "resolved"
            self.anomalies[name].events.append("resolved")
            return "resolved"
        if self.is_open(name):
            self._see(name, findings[name])
            return "ongoing"
        known = self.anomalies.setdefault(name, ModelAnomaly("new", "", 0, -1, []))
        known.returned_count += 1
        known.state = "returned" if known.returned_count else "new"
        known.detail = findings[name]
        known.times_seen += 1
        known.events.append("returned" if known.returned_count else "found")
        return known.state

    def _see(self, name: str, detail: str) -> None:
        known = self.anomalies[name]
        known.state, known.detail, known.times_seen = "ongoing", detail, known.times_seen + 1

    def _end_acknowledgements(self, findings: Findings, was_open: Set[str]) -> None:
        for name, days in list(self.acknowledged.items()):
            returns = name in findings and name not in was_open
            changes = name in findings and findings[name] != self.anomalies[name].detail
            if returns or changes or (name in was_open and days <= 0):
                self._end_acknowledgement(name)

    def _end_acknowledgement(self, name: str) -> None:
        del self.acknowledged[name]
        self.anomalies[name].events.append("acknowledgement_ended")

    def _end_or_lower_mute(self, count: int, kept: Set[str]) -> None:
        if self.mute is None:
            return
        if not self.mute.holds(max(count, len(kept) and 1)):
            self.mute = None
        elif not kept:
            self.mute.mark = count if self.mute.mark is None else min(self.mute.mark, count)

    # --- State -------------------------------------------------------------------------------------------
    def is_open(self, name: str) -> bool:
        return name in self.anomalies and self.anomalies[name].state != "resolved"

    def acknowledged_now(self) -> set[str]:
        return {name for name, days in self.acknowledged.items() if days > 0 and self.is_open(name)}

    def acknowledged_in(self, findings: Findings) -> set[str]:
        """Return the findings that a scan counts as acknowledged."""
        return {name for name in self.acknowledged_now() if findings.get(name) == self.anomalies[name].detail}

    def muted_in(self, findings: Findings) -> int:
        """Return the number of findings that a scan counts as muted."""
        muted = self.mute is not None and self.mute.holds(len(findings))
        return len(findings) - len(self.acknowledged_in(findings)) if muted else 0
