"""What the overview shows: how the data stands, check by check, by what was recorded, agreed and muted since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from django.db import connections
from django.db.models import Q
from django.utils import timezone

from common.times import format_minute
from consistency.history.freshness import why_too_old
from consistency.history.hops import RECORDED_CHECKS
from consistency.history.lists import acknowledged_of_each_check, last_complete_scan, last_scan, with_last
from consistency.history.news import why_ended
from consistency.history.silence import MEMORY, holds
from consistency.models.history import Mute, MuteEnd, Scan
from consistency.registry import CHECKS, Check, Severity

SCANS: Final = 90
"""How far back trends go."""
LATELY: Final = timedelta(days=7)
"""How long it is told that a mute ended by itself."""
_BY_ITSELF: Final = (MuteEnd.TIME, MuteEnd.CLEAN, MuteEnd.EXCEEDED)

_TRENDS: Final = f"""
SELECT named.check_name, past.scan_id, (SELECT recorded_at FROM consistency_scan s WHERE s.id = past.scan_id),
    past.severity, past.outcome, past.count, past.error, past.new, past.returned, past.duration_ms,
    past.resolved, past.ongoing, past.doubted
FROM ({RECORDED_CHECKS}) AS named, LATERAL (
    SELECT c.* FROM consistency_scancheck c
    WHERE c.check_name = named.check_name AND c.database = %s ORDER BY c.scan_id DESC LIMIT {SCANS}) AS past
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
    resolved: int = 0
    ongoing: int = 0
    doubted: bool = False

    @property
    def words(self) -> str:
        """What it came to, for people."""
        told = self.error or (f"{self.count:,} found" if self.count or self.doubted else "clean")
        told += ", two looks differed" if self.doubted else ""
        return f"{format_minute(self.at)}: {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """How one check stands on one database."""

    name: str
    points: Sequence[Point]
    """Its last scans, the oldest first; never empty."""
    acknowledged: int
    mute: Mute | None
    """The one in force."""
    ended: Mute | None
    """Else the last one, if it ended by itself, and lately."""
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
    def answered(self) -> Point | None:
        """What it came to when it last could be asked: since then, nothing has changed in the list."""
        return _answered(self.points)

    @property
    def open(self) -> int:
        """How many there were when it last could be asked."""
        return (self.answered.count or 0) if self.answered else 0

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """What is told of it: the word by which the list shows exactly those, and how many they are."""
        new, returned = (self.answered.new, self.answered.returned) if self.answered else (0, 0)
        told = [("open", self.open), ("new", new), ("returned", returned)]
        return [*told, ("acknowledged", self.acknowledged), ("muted", self.muted)]

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
        return bool(self.last.error) or self._warns

    @property
    def left_out(self) -> bool:
        """Whether it would, had the last complete scan asked it."""
        return not self.current and self.check is not None and self._warns

    @property
    def _warns(self) -> bool:
        return self.loud > 0 and self.severity > Severity.INFO

    @property
    def ended_at(self) -> datetime | None:
        """When that mute was over; a scan may have noted it later."""
        return min(self.ended.until, self.ended.ended_at or self.ended.until) if self.ended else None

    @property
    def ended_because(self) -> str:
        """Why it was, for people."""
        if self.ended is None:
            return ""
        counts = [point.count for point in self.points if point.at == self.ended.ended_at]
        return why_ended(self.ended.ended_because or MuteEnd.TIME.value, counts[0] if counts else None, self.ended.mark)

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
    too_old: str | None
    """Why somebody must look after the scans themselves, by their age; None while complete ones come."""
    cards: Sequence[Card]

    @property
    def retired(self) -> bool:
        """Whether the settings do not name it any more: what is remembered of it is the past."""
        return self.database not in connections

    @property
    def status(self) -> str:
        """`ok` or `degraded`, as it is now that somebody may have agreed to silence; `unknown` where nothing speaks
        against it, but no scan was complete; `retired` where nothing will.
        """
        if self.retired:
            return "retired"
        if self.degraded or self.too_old:
            return "degraded"
        return "ok" if self.complete else "unknown"

    @property
    def degraded(self) -> list[Card]:
        """The checks that make it so."""
        return [card for card in self.cards if card.degraded]

    @property
    def left_out(self) -> list[Card]:
        """The checks that are not in the status, for no scan since the last complete one asked them, though what they
        found is open, not silenced, and worse than info.
        """
        return [] if self.retired else [card for card in self.cards if card.left_out]

    @property
    def news(self) -> list[tuple[str, int, str]]:
        """What the last scan that each check answered in came to, in all, retired ones aside: a word, how many, and by
        which choice of `last scan` the list shows exactly those.
        """
        answers = [card.answered for card in self.cards if card.answered and card.check]
        shown = {"new": "1", "returned": "1", "resolved": "resolved", "ongoing": "seen"}
        return [(word, sum(getattr(answer, word) for answer in answers), news) for word, news in shown.items()]

    @property
    def never_ran(self) -> list[Check]:
        """Checks that no scan which is remembered has asked."""
        seen = {card.name for card in self.cards}
        return [check for check in CHECKS.values() if check.name not in seen]


def overview(database: str = MEMORY) -> Overview:
    """How it stands, in six questions by index at most, however many anomalies there are."""
    complete, last = last_complete_scan(database), last_scan(database)
    too_old = why_too_old(complete, last, database) if database in connections else None
    cards = _cards(database, complete.pk if complete else 0)
    return Overview(database=database, last=last, complete=complete, too_old=too_old, cards=cards)


def _cards(database: str, since: int) -> list[Card]:
    trends = _trends(database)
    answers = ((name, _answered(points)) for name, points in trends)
    doubted = {name: answer.scan for name, answer in answers if answer and answer.doubted}
    acknowledged = acknowledged_of_each_check(database, doubted)
    mutes, ended = _mutes(database)
    cards = [
        Card(
            name=name,
            points=points,
            acknowledged=acknowledged.get(name, 0),
            mute=mutes.get(name),
            ended=ended.get(name),
            current=name in CHECKS and database in connections and points[-1].scan >= since,
        )
        for name, points in trends
    ]
    order = {name: position for position, name in enumerate(CHECKS)}
    return sorted(cards, key=lambda card: (not card.current, order.get(card.name, len(order)), card.name))


def _answered(points: Sequence[Point]) -> Point | None:
    return next((point for point in reversed(points) if point.count is not None), None)


def _mutes(database: str) -> tuple[dict[str, Mute], dict[str, Mute]]:
    """The last mute of each check that has one of late: where it is in force, and where it ended by itself."""
    now = timezone.now()
    lately = Q(ended_at__gte=now - LATELY) | Q(ended_at__isnull=True, until__gte=now - LATELY)
    last = with_last(Mute.objects.using(MEMORY).filter(lately, database=database).order_by("check_name", "-id"))
    by_check: dict[str, Any] = {mute.check_name: mute for mute in last.distinct("check_name")}
    return (
        {name: mute for name, mute in by_check.items() if holds(mute, mute.last, now)},
        {name: mute for name, mute in by_check.items() if _ended_by_itself(mute, now)},
    )


def _ended_by_itself(mute: Mute, now: datetime) -> bool:
    over = mute.ended_at is not None or mute.until <= now
    return over and (mute.ended_because or MuteEnd.TIME) in _BY_ITSELF


def _trends(database: str) -> list[tuple[str, list[Point]]]:
    with connections[MEMORY].cursor() as cursor:
        cursor.execute(_TRENDS, [database])
        rows = cursor.fetchall()
    return [(name, [Point(*row[1:]) for row in group]) for name, group in groupby(rows, key=lambda row: row[0])]
