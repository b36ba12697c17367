"""What the overview shows: how the data stands, check by check, by what was recorded, agreed and muted since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from django.conf import settings
from django.db import connections
from django.utils import timezone

from consistency.memory.hops import RECORDED_CHECKS, recorded_checks
from consistency.memory.lists import acknowledged_of_each_check, in_force, last_complete_scan, last_scan
from consistency.memory.silence import MEMORY
from consistency.models.memory import Mute, Scan
from consistency.registry import CHECKS, Check, Severity

SCANS: Final = 90
"""How far back trends go."""

_TRENDS: Final = f"""
SELECT named.check_name, past.scan_id, past.recorded_at, past.severity, past.outcome, past.count, past.error, past.new,
    past.returned, past.duration_ms
FROM ({RECORDED_CHECKS}) AS named, LATERAL (
    SELECT c.*, s.recorded_at FROM consistency_scancheck c JOIN consistency_scan s ON s.id = c.scan_id
    WHERE c.check_name = named.check_name AND s.database = %s ORDER BY c.scan_id DESC LIMIT {SCANS}) AS past
ORDER BY named.check_name, past.scan_id"""  # noqa: S608 - statements of ours


@dataclass(frozen=True, slots=True)
class Point:
    """What a check came to in one scan."""

    scan: int
    at: datetime
    severity: int
    outcome: str
    count: int | None
    error: str
    new: int
    returned: int
    duration_ms: int

    @property
    def words(self) -> str:
        """What it came to, for people."""
        told = self.error or ("clean" if not self.count else f"{self.count:,} found")
        return f"{self.at:%Y-%m-%d %H:%M}: {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """How one check stands on one database."""

    name: str
    points: Sequence[Point]
    """Its last scans, the oldest first; never empty."""
    acknowledged: int
    mute: Mute | None
    """The one in force."""
    current: bool
    """Whether the last complete scan, or one since, asked it: else it decides nothing."""

    @property
    def check(self) -> Check | None:
        """Its definition, if it is not retired."""
        return CHECKS.get(self.name)

    @property
    def last(self) -> Point:
        """What it came to last."""
        return self.points[-1]

    @property
    def severity(self) -> Severity:
        """How bad it was when last asked."""
        return Severity(self.last.severity)

    @property
    def open(self) -> int:
        """How many there were when it last could be asked."""
        return next((point.count for point in reversed(self.points) if point.count is not None), 0)

    @property
    def muted(self) -> int:
        """How many are silent through the mute alone."""
        return max(0, self.open - self.acknowledged) if self.mute else 0

    @property
    def loud(self) -> int:
        """How many nobody has silenced."""
        return max(0, self.open - self.acknowledged - self.muted)

    @property
    def degraded(self) -> bool:
        """Whether it alone makes the whole degraded; a mute hides no check that could not run."""
        if not self.current or self.check is None:
            return False
        return bool(self.last.error) or (self.loud > 0 and self.severity > Severity.INFO)

    @property
    def tone(self) -> str:
        """The word for its colour: bad, told, silent, clean, unknown or past."""
        if self.check is None or not self.current:
            return "past"
        if self.last.error:
            return "unknown"
        if not self.open:
            return "clean"
        return ("bad" if self.severity > Severity.INFO else "told") if self.loud else "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How the data of one database stands."""

    database: str
    last: Scan | None
    complete: Scan | None
    """The last one in which all checks ran."""
    cards: Sequence[Card]

    @property
    def status(self) -> str:
        """`ok` or `degraded`, as it is now that somebody may have agreed to silence; `unknown` before any scan."""
        if self.complete is None and not self.cards:
            return "unknown"
        return "degraded" if self.degraded else "ok"

    @property
    def degraded(self) -> list[Card]:
        """What makes it so."""
        return [card for card in self.cards if card.degraded]

    @property
    def too_old(self) -> bool:
        """Whether the last complete scan is past CONSISTENCY_MAX_AGE hours: a cron job that silently stopped."""
        hours: int = settings.CONSISTENCY_MAX_AGE
        return bool(hours and self.complete and timezone.now() - self.complete.recorded_at > timedelta(hours=hours))

    @property
    def never_ran(self) -> list[Check]:
        """Checks that no scan which is remembered has asked."""
        seen = {card.name for card in self.cards}
        return [check for check in CHECKS.values() if check.name not in seen]


def overview(database: str = MEMORY) -> Overview:
    """How it stands, in five questions by index, however many anomalies there are."""
    complete = last_complete_scan(database)
    cards = _cards(database, complete.pk if complete else 0)
    return Overview(database=database, last=last_scan(database), complete=complete, cards=cards)


def check_names() -> list[str]:
    """Every check that is defined, and after them those that are history."""
    return [*CHECKS, *(name for name in recorded_checks() if name not in CHECKS)]


def _cards(database: str, since: int) -> list[Card]:
    acknowledged = acknowledged_of_each_check(database)
    mutes = {mute.check_name: mute for mute in in_force(database)}
    cards = [
        _card(name, points, acknowledged.get(name, 0), mutes.get(name), since) for name, points in _trends(database)
    ]
    order = {name: position for position, name in enumerate(CHECKS)}
    return sorted(cards, key=lambda card: (not card.current, order.get(card.name, len(order)), card.name))


def _card(name: str, points: Sequence[Point], acknowledged: int, mute: Mute | None, since: int) -> Card:
    current = name in CHECKS and points[-1].scan >= since
    return Card(name=name, points=points, acknowledged=acknowledged, mute=mute, current=current)


def _trends(database: str) -> list[tuple[str, list[Point]]]:
    with connections[MEMORY].cursor() as cursor:
        cursor.execute(_TRENDS, [database])
        rows = cursor.fetchall()
    return [(name, [Point(*row[1:]) for row in group]) for name, group in groupby(rows, key=lambda row: row[0])]
