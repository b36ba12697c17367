"""Silence, honestly: one anomaly acknowledged, or one check muted, by somebody, for a reason, until a time."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import F, Func, Q, Value
from django.utils import timezone

from common.arguments import InvalidInputError
from consistency.models.history import Anomaly, Mute, MuteEnd, ScanCheck
from consistency.registry import Check
from consistency.scan.findings import Row
from consistency.scan.report import Muted, Outcome, Report
from consistency.scan.sight import PIECE, Sight, key
from consistency.scan.transaction import patient

MEMORY: Final = "default"
"""Where the memory lives, whichever database is scanned."""
LONGEST_MUTE: Final = timedelta(days=365)
SECONDS: Final = 2.0
"""What a scan may wait for the memory before it goes on without: then nothing is silent, and nothing is recorded."""
READING: Final = 10.0
"""What it may wait on for all that is acknowledged, once the memory has answered: a million are some seconds."""

Details: TypeAlias = dict[str, set[int]]


class SilenceError(InvalidInputError):
    """It cannot be silenced like that; the text says why and what to do."""


def longest_acknowledgement() -> timedelta:
    """How long one anomaly may be acknowledged."""
    return timedelta(days=settings.CONSISTENCY_MAX_ACKNOWLEDGE)


def check_end(until: datetime, longest: timedelta) -> None:
    """SilenceError if no silence that may be so long can end then."""
    # A minute of grace: a request for exactly the longest time takes a moment to get here.
    if not timedelta() < until - timezone.now() <= longest + timedelta(minutes=1):
        raise SilenceError(f"the end must lie in the future, at most {longest.days} days from now")


# --- Acts ------------------------------------------------------------------------------------------------
def told_by(act: int | None) -> dict[str, Any]:
    """What an UPDATE sets besides, for an act on many that the admin's log tells in one line, of this number."""
    return {} if act is None else {"acts": Func(F("acts"), Value(act), function="array_append")}


def acknowledge(anomalies: Iterable[int], *, until: datetime, by: str, reason: str, act: int | None = None) -> int:
    """Acknowledge the open ones among these anomalies (primary keys); returns how many those are."""
    _validated(until, longest_acknowledgement(), by, reason)
    return Anomaly.objects.filter(pk__in=anomalies, resolved_at__isnull=True).update(
        acknowledged_by=by,
        acknowledged_at=timezone.now(),
        acknowledged_until=until,
        acknowledged_reason=reason,
        **told_by(act),
    )


def end_acknowledgement(anomalies: Iterable[int], *, act: int | None = None) -> int:
    """Let these anomalies be heard again; returns how many were acknowledged."""
    acknowledged = Anomaly.objects.filter(pk__in=anomalies, acknowledged_until__gt=timezone.now())
    return acknowledged.update(
        acknowledged_by=None, acknowledged_at=None, acknowledged_until=None, acknowledged_reason=None, **told_by(act)
    )


def mute(check: str, *, until: datetime, by: str, reason: str, sticky: bool = False, database: str = MEMORY) -> Mute:
    """Mute a check on one database, in place of a mute that it has; not sticky, it takes the last recorded count
    as its mark, or the next one where there is none.
    """
    _validated(until, LONGEST_MUTE, by, reason)
    mark = _last_count(check, database)
    if mark == 0 and not sticky:
        raise SilenceError(f"{check} was clean when last recorded: nothing to mute. Scan again, or mute it sticky.")
    with transaction.atomic(using=MEMORY):
        _end(check, database, MuteEnd.REPLACED)
        return Mute.objects.create(
            check_name=check,
            database=database,
            created_at=timezone.now(),
            by=by,
            reason=reason,
            until=until,
            sticky=sticky,
            mark=mark,
        )


def unmute(check: str, *, database: str = MEMORY, number: int | None = None) -> bool:
    """End the mute of a check, or only if it still is the one of this number; returns whether it ran."""
    return _end(check, database, MuteEnd.UNMUTED, number)


def _end(check: str, database: str, because: MuteEnd, number: int | None = None) -> bool:
    now = timezone.now()
    running = Mute.objects.filter(check_name=check, database=database, ended_at__isnull=True)
    if number is not None:
        running = running.filter(pk=number)
    running.filter(until__lte=now).update(ended_at=now, ended_because=MuteEnd.TIME)
    return bool(running.update(ended_at=now, ended_because=because))


def _last_count(check: str, database: str) -> int | None:
    recorded = ScanCheck.objects.filter(check_name=check, database=database, count__isnull=False)
    last = recorded.order_by("-scan_id").first()
    return counted(last) if last else None


def counted(answer: ScanCheck) -> int:
    """How many of a check there are by its last answer."""
    found = answer.count or 0
    if not answer.doubted:
        return found
    # What two looks differed about was not counted, and is open as before.
    about = Anomaly.objects.filter(check_name=answer.check_name, database=answer.database)
    return max(found, about.filter(resolved_at__isnull=True).count())


def _validated(until: datetime, longest: timedelta, by: str, reason: str) -> None:
    check_end(until, longest)
    if not by.strip() or not reason.strip():
        raise SilenceError("say who silences it and why: neither may be empty")


# --- What a scan honours ---------------------------------------------------------------------------------
def holds(mute: Mute, count: int | None, now: datetime) -> bool:
    """Whether the mute is in force for a check that found so many. Pure: who only looks writes nothing."""
    if count is None or mute.ended_at is not None or mute.until <= now:
        return False
    return mute.sticky or (count > 0 and (mute.mark is None or count <= mute.mark))


class Silence(Sight):
    """Counts which findings are acknowledged, and tells in the report what is silent."""

    def __init__(
        self, acknowledged: Details, mutes: Iterable[Mute], *, only_heard: bool = False, unknown: str | None = None
    ) -> None:
        self.unknown = unknown
        """Why it is not known what is silent; nothing is, then."""
        self.only_heard = only_heard
        """Whether the rows that are shown leave out what is acknowledged."""
        self.details = acknowledged
        """By check, as hashes: each object with the detail it had when last seen, which is what was acknowledged."""
        self.mutes = {mute.check_name: mute for mute in mutes}
        self.counted: dict[Check, set[int]] = {}

    @property
    def problem(self) -> str | None:
        # Recorded, it would end mutes unseen, and be told as if nobody had agreed on anything.
        return self.unknown

    def wants(self, check: Check) -> bool:
        return check.name in self.details

    def start(self, check: Check) -> None:
        self.counted[check] = set()

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        if held := self.details.get(check.name):
            # Each object once, as it is remembered once: what names it again is nothing that anybody could see there.
            self.counted[check] |= held.intersection(map(_seen, rows))
        return rows

    def shown(self, check: Check, rows: list[Row]) -> list[Row]:
        return [row for row in rows if not self.silent(check, row)] if self.only_heard else rows

    def silent(self, check: Check, row: Row) -> bool:
        return check.name in self.details and _seen(row) in self.details[check.name]

    def report(self, report: Report) -> Report:
        now = timezone.now()
        return replace(report, outcomes=[self._silenced(outcome, now) for outcome in report.outcomes])

    def _silenced(self, outcome: Outcome, now: datetime) -> Outcome:
        if outcome.count is None:
            return outcome
        acknowledged = len(self.counted.get(outcome.check, ()))
        mute = self.mutes.get(outcome.check.name)
        if mute is None or not outcome.count or not holds(mute, outcome.count, now):
            return replace(outcome, acknowledged=acknowledged)
        told = Muted(until=mute.until, by=mute.by, reason=mute.reason)
        return replace(outcome, acknowledged=acknowledged, muted=outcome.count - acknowledged, mute=told)


def silence_of(checks: Iterable[Check], database: str, *, only_heard: bool = False) -> Silence:
    """What is silent on this database now, or DatabaseError. With `only_heard` the report's rows are those that nobody
    has acknowledged.
    """
    here = Q(database=database, check_name__in=[check.name for check in checks])
    with patient(connections[MEMORY], SECONDS, locks=SECONDS / 2):
        mutes = list(Mute.objects.filter(here, ended_at__isnull=True))
    with patient(connections[MEMORY], READING, locks=SECONDS / 2):
        return Silence(_acknowledged(here), mutes, only_heard=only_heard)


def silence_if_known(checks: Iterable[Check], database: str) -> Silence:
    """The same for who only looks: nothing is silent where the memory cannot be asked."""
    try:
        return silence_of(checks, database)
    except DatabaseError:
        return Silence({}, ())


def _seen(row: Row) -> int:
    return hash((*key(row), row["detail"]))


def _acknowledged(here: Q) -> Details:
    details: Details = {}
    found = Anomaly.objects.filter(here, acknowledged_until__gt=timezone.now(), resolved_at__isnull=True).order_by()
    rows = found.values_list("check_name", "object_type", "object_id", "detail")
    for name, *seen in rows.iterator(chunk_size=PIECE):
        details.setdefault(name, set()).add(hash(tuple(seen)))
    return details
