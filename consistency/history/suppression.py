"""Acknowledge anomalies and mute checks: by a person, for a reason, until a time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from common.arguments import InvalidInputError
from common.errors import explain, is_missing_table
from consistency.history.locks import bounded_transaction, changing_anomalies
from consistency.models.history import (
    NEEDS_REVIEW,
    OPEN,
    Anomaly,
    AnomalyEvent,
    Category,
    EventKind,
    Mute,
    MuteEnd,
    Scan,
    ScanCheck,
)
from consistency.registry import Check
from consistency.scan.engine import CHUNK_SIZE
from consistency.scan.guards import Baseline
from consistency.scan.report import Suppressions, suppression_key

LONGEST_MUTE: Final = timedelta(days=365)
LOAD_TIMEOUT: Final = 10.0
"""Seconds that a scan waits for the suppressions. A million acknowledgements take several seconds."""
LOAD_LOCK_TIMEOUT: Final = 1.0
NO_ACKNOWLEDGEMENT: Final = dict.fromkeys(
    ("acknowledged_by", "acknowledged_at", "acknowledged_until", "acknowledged_reason", "acknowledged_category")
)


class SuppressionError(InvalidInputError):
    """The suppression is not possible. The message says why and names the next step."""


# --- Actions ---------------------------------------------------------------------------------------------
def change(
    anomalies: Iterable[int],
    kind: EventKind,
    *,
    by: str,
    text: str,
    only: Q | None = None,
    values: dict[str, Any],
    wait: float | None = None,
) -> int:
    """Update these anomalies (primary keys) and record an event for each; return their number.

    `only` limits the change to matching rows. Raises AnomaliesLockedError while a recording holds the anomalies for
    longer than `wait` seconds.
    """
    with changing_anomalies() if wait is None else changing_anomalies(wait):
        rows = Anomaly._base_manager.filter(only or Q(), pk__in=list(anomalies))
        keys = list(rows.order_by("pk").values_list("pk", flat=True))
        Anomaly._base_manager.filter(pk__in=keys).update(**values)
        now = timezone.now()
        AnomalyEvent.objects.bulk_create(
            (AnomalyEvent(anomaly_id=key, kind=kind, at=now, by=by, text=text) for key in keys), batch_size=CHUNK_SIZE
        )
    return len(keys)


def mark_reviewed(anomalies: Iterable[int], *, by: str, wait: float | None = None) -> int:
    """Mark the anomalies among these primary keys that need review as reviewed; return the number."""
    values = {"reviewed_at": timezone.now()}
    return change(anomalies, EventKind.REVIEWED, by=by, text="", only=NEEDS_REVIEW, values=values, wait=wait)


def acknowledge(
    anomalies: Iterable[int],
    *,
    until: datetime,
    by: str,
    reason: str,
    category: str | None = None,
    wait: float | None = None,
) -> int:
    """Acknowledge the open anomalies among these primary keys, and mark them as reviewed; return the number."""
    _validate(until, longest_acknowledgement(), by, reason)
    now = timezone.now()
    values = {
        "acknowledged_by": by,
        "acknowledged_at": now,
        "acknowledged_until": until,
        "acknowledged_reason": reason,
        "acknowledged_category": category,
        "reviewed_at": now,
    }
    suffix = f" ({Category(category).label.lower()})" if category else ""
    text = f"until {until:%Y-%m-%d %H:%M} UTC: {reason}{suffix}"
    return change(anomalies, EventKind.ACKNOWLEDGED, by=by, text=text, only=OPEN, values=values, wait=wait)


def end_acknowledgement(anomalies: Iterable[int], *, by: str = "", reason: str = "", wait: float | None = None) -> int:
    """End the acknowledgement of these anomalies (primary keys); return the number of acknowledged anomalies."""
    return change(
        anomalies,
        EventKind.ACKNOWLEDGEMENT_ENDED,
        by=by,
        text=reason,
        only=Q(acknowledged_until__gt=timezone.now()),
        values=NO_ACKNOWLEDGEMENT,
        wait=wait,
    )


def assign(anomalies: Iterable[int], *, to: str | None, by: str, reason: str = "", wait: float | None = None) -> int:
    """Assign anomalies (primary keys) to a person, which marks them as reviewed, or to nobody; return the number."""
    text = f"to {to or 'nobody'}" + (f": {reason}" if reason else "")
    values = {"assignee": to} | ({"reviewed_at": timezone.now()} if to else {})
    return change(anomalies, EventKind.ASSIGNED, by=by, text=text, values=values, wait=wait)


def comment(anomalies: Iterable[int], *, text: str, by: str, wait: float | None = None) -> int:
    """Add a comment to anomalies (primary keys); return the number."""
    return change(anomalies, EventKind.COMMENTED, by=by, text=text, values={}, wait=wait)


def mute(check: str, *, until: datetime, by: str, reason: str, sticky: bool = False, database: str = "default") -> Mute:
    """Mute a check on one database; a running mute is replaced.

    The mark is the last recorded count; without a record the next scan sets the mark. A sticky mute ignores the mark.
    """
    _validate(until, LONGEST_MUTE, by, reason)
    mark = last_count(check, database)
    if mark == 0 and not sticky:
        raise SuppressionError(f"{check} was clean when last recorded: nothing to mute. Scan again, or mute it sticky.")
    with transaction.atomic():
        _end_mute(check, database, MuteEnd.REPLACED, by=by)
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


def mute_condition(mute: Mute) -> str:
    """Return the condition that ends a mute before its time, for a sentence after that time."""
    if mute.sticky:
        return "for any number of findings"
    mark = "the count of the next scan" if mute.mark is None else f"{mute.mark:,}"
    return f"or until the check is clean or the count exceeds {mark}"


def unmute(check: str, *, database: str = "default", pk: int | None = None, by: str = "", reason: str = "") -> bool:
    """End the mute of a check, or only the mute with this `pk`; return True if that mute was running."""
    return _end_mute(check, database, MuteEnd.UNMUTED, pk=pk, by=by, reason=reason)


def _end_mute(
    check: str, database: str, because: MuteEnd, *, pk: int | None = None, by: str = "", reason: str = ""
) -> bool:
    now = timezone.now()
    running = Mute.objects.filter(check_name=check, database=database, ended_at__isnull=True)
    if pk is not None:
        running = running.filter(pk=pk)
    running.filter(until__lte=now).update(ended_at=now, ended_because=MuteEnd.TIME)
    return bool(running.update(ended_at=now, ended_because=because, ended_by=by, ended_reason=reason))


def last_count(check: str, database: str) -> int | None:
    """Return the last recorded count of a check; None without a completed run."""
    runs = ScanCheck.objects.filter(check_name=check, database=database, count__isnull=False)
    last = runs.order_by("-scan_id").first()
    return last.count if last else None


def longest_acknowledgement() -> timedelta:
    """Return the longest duration of an acknowledgement."""
    return timedelta(days=settings.CONSISTENCY_MAX_ACKNOWLEDGE)


def validate_end(until: datetime, longest: timedelta) -> None:
    """Raise SuppressionError if a suppression of at most `longest` cannot end at `until`."""
    # One minute of grace: a request for the longest duration needs a moment to arrive.
    if not timedelta() < until - timezone.now() <= longest + timedelta(minutes=1):
        raise SuppressionError(f"the end must lie in the future, at most {longest.days} days from now")


def _validate(until: datetime, longest: timedelta, by: str, reason: str) -> None:
    validate_end(until, longest)
    if not by.strip() or not reason.strip():
        raise SuppressionError("author and reason may not be empty")


# --- Suppressions of a scan ------------------------------------------------------------------------------
def load_suppressions(checks: Iterable[Check], database: str) -> Suppressions:
    """Return what is acknowledged and muted on this database, and the baseline of its last recorded scan.

    Without the tables of the history the result is empty. After another error `problem` says why, nothing may be
    recorded, and an empty table of files is refused.
    """
    here = Q(database=database, check_name__in=[check.name for check in checks])
    try:
        with bounded_transaction(LOAD_TIMEOUT, lock_timeout=LOAD_LOCK_TIMEOUT):
            mutes = {mute.check_name: mute for mute in Mute.objects.filter(here, ended_at__isnull=True)}
            return Suppressions(acknowledged=_acknowledged(here), mutes=mutes, baseline=load_baseline(database))
    except DatabaseError as error:
        if is_missing_table(error):
            # Without our tables the recording fails too, and reports the reason.
            return Suppressions()
        problem = f"suppressions could not be read: {explain(error) or 'PostgreSQL refused'}"
        return Suppressions(problem=problem, baseline=Baseline(files_empty=None))


def load_baseline(database: str) -> Baseline:
    """Return the state of the data that the last recorded scan of a database accepted."""
    return Baseline(**(Scan.objects.filter(database=database).values_list("baseline", flat=True).first() or {}))


def _acknowledged(here: Q) -> dict[str, set[int]]:
    keys: dict[str, set[int]] = {}
    acknowledged = Anomaly._base_manager.filter(here, OPEN, acknowledged_until__gt=timezone.now()).order_by()
    values = acknowledged.values_list("check_name", "object_type", "object_id", "detail")
    for name, *finding in values.iterator(chunk_size=CHUNK_SIZE):
        keys.setdefault(name, set()).add(suppression_key(*finding))
    return keys
