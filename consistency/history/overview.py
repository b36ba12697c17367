"""The overview of one database: status, age of the scans, and a card per check with its trend."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, F, Q
from django.utils import timezone

from consistency.history.changes import mute_end_text
from consistency.history.freshness import stale_reason
from consistency.history.paginator import MAX_COUNT, BoundedPaginator, bounded
from consistency.history.queries import (
    acknowledged_by_check,
    active_mutes,
    appeared_in_last_scans,
    appeared_since,
    last_attempts,
    last_complete_scan,
    last_scan,
    needs_review,
    unsuppressed,
)
from consistency.models.history import OPEN, Anomaly, Mute, MuteEnd, Scan, ScanCheck
from consistency.registry import CHECKS, Check, Severity

TREND_LENGTH: Final = 90
"""Scans of a check in the trend."""
RECENT: Final = timedelta(days=7)
"""Age up to which the overview shows the end of a mute."""
DAY: Final = timedelta(days=1)
ENDED_BY_SCAN: Final = (MuteEnd.TIME, MuteEnd.CLEAN, MuteEnd.EXCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """State of a check on a database."""

    name: str
    runs: Sequence[ScanCheck]
    """Last scans of the check, oldest first, with `recorded_at`; never empty."""
    acknowledged: int
    mute: Mute | None
    """Mute in force."""
    ended: Mute | None
    """Last mute, if a scan ended the mute recently."""
    current: bool
    """True if the last complete scan or a later one ran the check. Other cards do not decide the status."""

    @property
    def check(self) -> Check | None:
        """Return the definition; None for a retired check."""
        return CHECKS.get(self.name)

    @property
    def last(self) -> ScanCheck:
        """Return the last result, also of a check that could not run."""
        return self.runs[-1]

    @property
    def severity(self) -> Severity:
        """Return the severity of the last scan."""
        return Severity(self.last.severity)

    @property
    def last_run(self) -> ScanCheck | None:
        """Return the last result with a count: the list of anomalies is of that scan."""
        return next((run for run in reversed(self.runs) if run.count is not None), None)

    @property
    def open(self) -> int:
        """Return the open anomalies after the last run."""
        return (self.last_run.count or 0) if self.last_run else 0

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """Return pairs of a state, by which the list shows the anomalies, and their number, if not 0."""
        new, returned = (self.last_run.new, self.last_run.returned) if self.last_run else (0, 0)
        counts = {"acknowledged": self.acknowledged, "muted": self.muted, "new": new, "returned": returned}
        return [(state, number) for state, number in counts.items() if number]

    @property
    def peak(self) -> int:
        """Return the highest count of the runs."""
        return max(run.count or 0 for run in self.runs)

    @property
    def muted(self) -> int:
        """Return the open anomalies that only the mute suppresses."""
        return max(0, self.open - self.acknowledged) if self.mute else 0

    @property
    def unsuppressed(self) -> int:
        """Return the open anomalies that are neither acknowledged nor muted."""
        return max(0, self.open - self.acknowledged - self.muted)

    @property
    def degraded(self) -> bool:
        """Return True if this check alone makes the status degraded. A mute hides no check that could not run."""
        return self.current and self.check is not None and (bool(self.last.error) or self._warns)

    @property
    def left_out(self) -> bool:
        """Return True if the check has findings above info that the status does not count."""
        return not self.current and self.check is not None and self._warns

    @property
    def _warns(self) -> bool:
        return self.unsuppressed > 0 and self.severity > Severity.INFO

    @property
    def ended_at(self) -> datetime | None:
        """Return the end of the ended mute; a scan may have recorded the end later."""
        return min(self.ended.until, self.ended.ended_at or self.ended.until) if self.ended else None

    @property
    def ended_because(self) -> str:
        """Return the cause of that end, for people."""
        if self.ended is None:
            return ""
        counts = [run.count for run in self.runs if run.recorded_at == self.ended.ended_at]  # type: ignore[attr-defined]
        because = self.ended.ended_because or MuteEnd.TIME.value
        return mute_end_text(because, counts[0] if counts else None, self.ended.mark)

    @property
    def tone(self) -> str:
        """Return the word for the colour of the card."""
        if self.check is None or not self.current:
            return "past"
        if self.last.error:
            return "unknown"
        if not self.open:
            return "clean"
        if not self.unsuppressed:
            return "suppressed"
        return "bad" if self.severity > Severity.INFO else "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """State of a database."""

    database: str
    last: Scan | None
    complete: Scan | None
    """Last scan with a result for every check."""
    stale: str | None
    """Reason why the scans are too old; None while complete scans come."""
    cards: Sequence[Card]

    @property
    def status(self) -> str:
        """Return `ok` or `degraded` by suppressions of now; `unknown` without a complete scan."""
        if self.degraded or self.stale:
            return "degraded"
        return "ok" if self.complete else "unknown"

    @property
    def degraded(self) -> list[Card]:
        """Return the cards that make the status degraded."""
        return [card for card in self.cards if card.degraded]

    @property
    def left_out(self) -> list[Card]:
        """Return the cards with findings that the status does not count, since no complete scan ran the check."""
        return [card for card in self.cards if card.left_out]

    @property
    def changes(self) -> list[tuple[str, int, str]]:
        """Return the changes of the last run of each check: word, number, and value of the list's filter."""
        runs = [card.last_run for card in self.cards if card.last_run and card.check]
        filters = {"new": "1", "returned": "1", "resolved": "resolved", "ongoing": "seen"}
        return [(word, sum(getattr(run, word) for run in runs), value) for word, value in filters.items()]

    @property
    def never_ran(self) -> list[Check]:
        """Return the checks without a recorded scan."""
        names = {card.name for card in self.cards}
        return [check for check in CHECKS.values() if check.name not in names]


def overview(database: str = DEFAULT_DB_ALIAS) -> Overview:
    """Return the overview of a database."""
    complete, last = last_complete_scan(database), last_scan(database)
    stale = stale_reason(complete, last, database)
    cards = _cards(database, complete.pk if complete else 0)
    return Overview(database=database, last=last, complete=complete, stale=stale, cards=cards)


def queue_counts(review: Overview, username: str) -> dict[str, int]:
    """Return the number of anomalies behind each button of the overview, counted up to MAX_COUNT."""
    waiting, now = unsuppressed(), timezone.now()
    conditions = {
        "needs_review": needs_review(),
        "news": waiting & appeared_in_last_scans(),
        "mine": OPEN & Q(assignee=username),
        "resolved": Q(resolved_at__gte=now - DAY),
    }
    rows = Anomaly._base_manager.filter(database=review.database)
    counts = {name: BoundedPaginator(rows.filter(condition), 1).count for name, condition in conditions.items()}
    # No index holds appeared_at: count among the newest, which are in the order of appeared_event.
    newest = rows.filter(waiting).order_by("-appeared_event")[: MAX_COUNT + 1]
    ages = {"day": DAY, "week": 7 * DAY}
    recent = newest.aggregate(**{name: Count("pk", filter=appeared_since(now - age)) for name, age in ages.items()})
    sums = {name: sum(getattr(card, name) for card in review.cards) for name in ("unsuppressed", "acknowledged")}
    return counts | {name: bounded(number) for name, number in recent.items()} | sums


def _cards(database: str, complete_scan: int) -> list[Card]:
    acknowledged = acknowledged_by_check(database)
    mutes = {mute.check_name: mute for mute in active_mutes(database)}
    ended = _recently_ended(database)
    cards = [
        Card(
            name=name,
            runs=runs,
            acknowledged=acknowledged.get(name, 0),
            mute=mutes.get(name),
            ended=ended.get(name),
            current=name in CHECKS and runs[-1].scan_id >= complete_scan,
        )
        for name, runs in _trends(database).items()
    ]
    order = {name: position for position, name in enumerate(CHECKS)}
    return sorted(cards, key=lambda card: (not card.current, order.get(card.name, len(order)), card.name))


def _recently_ended(database: str) -> dict[str, Mute]:
    """Return the last mute of each check, if its time or a scan ended the mute recently."""
    now = timezone.now()
    recent = Q(ended_at__gte=now - RECENT) | Q(ended_at__isnull=True, until__gte=now - RECENT)
    last = Mute.objects.filter(recent, database=database).order_by("check_name", "-id").distinct("check_name")
    return {
        mute.check_name: mute for mute in last if mute.is_over and (mute.ended_because or MuteEnd.TIME) in ENDED_BY_SCAN
    }


def _trends(database: str) -> dict[str, list[ScanCheck]]:
    """Return the last results of every check, oldest first."""
    results = ScanCheck.objects.filter(database=database).annotate(recorded_at=F("scan__recorded_at"))
    names = sorted(last_attempts(database))
    newest = [results.filter(check_name=name).order_by("-scan_id")[:TREND_LENGTH] for name in names]
    trends: dict[str, list[ScanCheck]] = {name: [] for name in names}
    for run in ScanCheck.objects.none().union(*newest, all=True):
        trends[run.check_name].append(run)
    return {name: sorted(runs, key=lambda run: run.scan_id) for name, runs in trends.items()}
