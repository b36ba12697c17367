"""What reviewers ask of the memory: one page of a list, what is silent, what each check last came to, how old it is."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Case, Count, Exists, F, Model, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import IsNull
from django.utils import timezone

from consistency.history.hops import LAST_ANSWERS, last_of_each
from consistency.history.kinds import Listed
from consistency.history.order import beyond, fields_of
from consistency.history.silence import MEMORY, counted, holds
from consistency.models.history import AGREED, NO_FILE, OPEN, STARTS, Anomaly, Mute, Scan, ScanCheck, State, starting
from consistency.registry import CHECKS

Row = TypeVar("Row", bound=Model)

FEW: Final = 10_000
"""So many are looked for by the beginning of a text alone, without the list."""
ENDED: Final = 1000
"""So many acknowledgements that are over are told one by one; of more, each row of those acknowledged must tell."""


class CursorError(ValueError):
    """It is no cursor, or one of a list in another order."""

    def __init__(self) -> None:
        super().__init__("cursor must be one from `next` or `previous` of an answer to the same filters.")


# --- Pages -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows of a list, and the cursors of its neighbours; None where there is none."""

    rows: Sequence[Row]
    next: str | None
    previous: str | None


def page(found: QuerySet[Row], *, cursor: str | None, limit: int) -> Page[Row]:
    """The first of a list in falling order, the last field of which is unique, after the cursor's row; raises
    CursorError.

    It goes by the row's own values: rows that come or go meanwhile shift nothing, however many share a time.
    """
    fields = fields_of(found)
    backwards, place = _decoded(cursor, found.model, fields)
    if place:
        found = beyond(found, place, backwards=backwards)
    rows = Listed(found).rows(0, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    return Page(
        rows=rows,
        next=_encoded(rows[-1], fields) if rows and (more or backwards) else None,
        previous=_encoded(rows[0], fields, backwards=True) if rows and (more if backwards else bool(place)) else None,
    )


def _encoded(row: Model, fields: Sequence[str], *, backwards: bool = False) -> str:
    values = [_field(type(row), name).value_to_string(row) for name in fields]
    return base64.urlsafe_b64encode(json.dumps([backwards, *fields, *values]).encode()).decode().rstrip("=")


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def _decoded(cursor: str | None, model: type[Model], fields: Sequence[str]) -> tuple[bool, tuple[Any, ...]]:
    """Whether it goes backwards, and the values of the row that it starts from."""
    if cursor is None:
        return False, ()
    try:
        backwards, *told = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
        names, values = told[: len(fields)], told[len(fields) :]
        if names != list(fields) or len(values) != len(fields) or not all(isinstance(value, str) for value in values):
            raise CursorError
        place = tuple(_value(_field(model, name), value) for name, value in zip(fields, values, strict=True))
    except (binascii.Error, ValueError, TypeError, OverflowError, ValidationError, RecursionError):
        raise CursorError from None
    return backwards is True, place


def _value(field: Any, text: str) -> Any:
    value = field.to_python(text)
    # In UTC, as PostgreSQL will have it: a forged one may lie outside the years that exist there.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


# --- What is silent --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What is agreed to be silent."""

    mutes: list[Mute]
    """Those in force."""
    some: bool
    """Whether an anomaly is acknowledged, on any database."""
    over: Q
    """Those that were, until their time: the next scan takes that off the row."""


def agreed() -> Agreed:
    """What is silent now; two questions."""
    now = timezone.now()
    held = Anomaly.objects.using(MEMORY).filter(AGREED).order_by("acknowledged_until")
    over = Q(acknowledged_until__lte=now)
    ended, holding = (some.values_list("pk", "acknowledged_until") for some in (held.filter(over), held.exclude(over)))
    found = list(ended[: ENDED + 1].union(holding[:1], all=True))
    keys = [key for key, until in found if until and until <= now]
    return Agreed(mutes=in_force(), some=len(keys) < len(found), over=Q(pk__in=keys) if len(keys) <= ENDED else over)


def in_force(database: str | None = None) -> list[Mute]:
    """The mutes that hold by what was recorded last, of one database or all; those exceeded are left as they are."""
    now = timezone.now()
    running = Mute.objects.using(MEMORY).filter(ended_at__isnull=True, until__gt=now)
    if database is not None:
        running = running.filter(database=database)
    return [mute for mute in with_last(running) if holds(mute, mute.last, now)]


def with_last(mutes: QuerySet[Mute]) -> "QuerySet[Any]":
    """Each with `last`, the count that its check had when it last could be asked."""
    recorded = ScanCheck.objects.filter(
        check_name=OuterRef("check_name"), database=OuterRef("database"), count__isnull=False
    )
    # 1 where nothing was recorded, so that the mute of a check that never ran yet holds.
    # Nor is anything clean for sure where two looks differed.
    counted = Case(When(doubted=True, then=Greatest("count", 1)), default=F("count"))
    return mutes.annotate(last=Coalesce(Subquery(recorded.order_by("-scan_id").values(counted=counted)[:1]), 1))


def silenced(agreed: Agreed) -> Q:
    """Those anomalies that decide nothing: acknowledged, or of a check that a mute in force is about."""
    return acknowledged(agreed) | OPEN & _about(agreed)


def acknowledged(agreed: Agreed) -> Q:
    """Those that somebody has acknowledged, while that holds."""
    return AGREED & ~agreed.over


def standing(state: str, agreed: Agreed) -> Q:
    """Those that stand like that: by a state, `open`, `acknowledged`, `muted`, `retired` or `all`."""
    if state == "acknowledged":
        return acknowledged(agreed)
    if state == "muted":
        return OPEN & _unacknowledged(agreed) & _about(agreed)
    if state == "retired":
        return OPEN & ~Q(check_name__in=list(CHECKS), database__in=list(connections))
    wide = {"all": Q(), "open": OPEN, State.RESOLVED: ~OPEN}
    return wide[state] if state in wide else OPEN & Q(state=state)


def heard(agreed: Agreed) -> Q:
    """The other open ones."""
    return OPEN & _unacknowledged(agreed) & ~_about(agreed)


def _unacknowledged(agreed: Agreed) -> Q:
    return Q(acknowledged_until__isnull=True) | agreed.over


def _about(agreed: Agreed) -> Q:
    about = Q(pk__in=[])
    for mute in agreed.mutes:
        about |= Q(database=mute.database, check_name=mute.check_name)
    return about


# --- What is looked for -----------------------------------------------------------------------------------
def beginning(word: str, *fields: str) -> Q:
    """Those of which one of these fields begins so; where they are few, by their keys.

    The names of files go with the time, which PostgreSQL does not know: it would leaf through the list until it
    meets them, to the end. Where more begin so, it does.
    """
    first, *others = (_beginning(word, field) for field in fields)
    keys = list((first.union(*others, all=True) if others else first)[: FEW + 1])
    if len(keys) > FEW:
        return Q(*((f"{field}__startswith", word) for field in fields), _connector=Q.OR)
    return Q(pk__in=keys)


def _beginning(word: str, field: str) -> "QuerySet[Anomaly, int]":
    """Said so that the index finds it, which holds the first characters alone."""
    begins = Q(start__startswith=word[:STARTS])
    if len(word) > STARTS:
        begins &= Q((f"{field}__startswith", word))
    if field == "object_id":
        begins &= NO_FILE
    found = Anomaly.objects.using(MEMORY).alias(start=starting(field)).filter(begins)
    return found.order_by("start").values_list("pk", flat=True)[: FEW + 1]


def acknowledged_of_each_check(database: str, doubted: Mapping[str, int]) -> dict[str, int]:
    """How many of the findings that each check last counted are acknowledged now; checks without any are absent.

    `doubted` has the scans of the last answers about which two looks differed, by check: what only one look saw is
    open as before, and was not counted.
    """
    held = Anomaly.objects.using(MEMORY).filter(AGREED, acknowledged_until__gt=timezone.now(), database=database)
    for name, scan in doubted.items():
        held = held.exclude(check_name=name, last_scan__lt=scan)
    return dict(held.order_by().values_list("check_name").annotate(count=Count("*")))


# --- What was recorded last ------------------------------------------------------------------------------
def last_of_each_check(database: str) -> dict[str, ScanCheck]:
    """What each check, retired ones too, came to in the last recorded scan that ran it."""
    newest = ScanCheck.objects.using(MEMORY).filter(pk__in=last_of_each(database)).select_related("scan")
    return {found.check_name: found for found in newest}


def last_counts(database: str) -> dict[str, int]:
    """How many each check found when it last could be asked: what a mute of now would take as its mark."""
    answers = ScanCheck.objects.using(MEMORY).filter(pk__in=RawSQL(LAST_ANSWERS, ()))  # noqa: S611 - ours
    return {answer.check_name: counted(answer) for answer in answers if answer.database == database}


def before(scan: int, check: str, database: str) -> ScanCheck | None:
    """What the check came to in the last scan of this database before that one."""
    recorded = ScanCheck.objects.using(MEMORY).filter(check_name=check, scan_id__lt=scan, database=database)
    return recorded.order_by("-scan_id").first()


def last_complete_scan(database: str = MEMORY) -> Scan | None:
    """The last recorded scan in which all ran, the checks of every report among them; a look at one check is none."""
    found = Scan.objects.using(MEMORY).filter(database=database, complete=True)
    for name in (name for name, check in CHECKS.items() if check.default):
        ran = ScanCheck.objects.filter(check_name=name, database=database)
        # However many looks at other checks came since the last that asked this one.
        last = ran.order_by("-scan_id").values("scan_id")[:1]
        found = found.filter(Exists(ran.filter(scan_id=OuterRef("pk"))), pk__lte=Subquery(last))
    return found.order_by("-id").first()


def first_scan(database: str = MEMORY) -> Scan | None:
    """The oldest scan that is still remembered."""
    return Scan.objects.using(MEMORY).filter(database=database).order_by("id").first()


def last_scan(database: str = MEMORY) -> Scan | None:
    """The scan that was recorded last, complete or not."""
    return Scan.objects.using(MEMORY).filter(database=database).order_by("-id").first()


# --- What is new since ------------------------------------------------------------------------------------
def in_last_scans(how: str) -> Q:
    """What the last scan that each check answered in found `new` or back, has `seen` or has `resolved`; what a
    retired one found last is no news.
    """
    came = Anomaly.objects.filter(appeared_scan=OuterRef("scan_id")).values("appeared_at")
    first, last = (Subquery(came.order_by(by)[:1]) for by in ("appeared_at", "-appeared_at"))
    answers = ScanCheck.objects.using(MEMORY).filter(pk__in=RawSQL(LAST_ANSWERS, ()), check_name__in=CHECKS)  # noqa: S611 - ours
    found = Q(pk__in=[])
    for answer in answers.select_related("scan").annotate(first=first, last=last):
        of_it = _of_answer(how, answer)
        if of_it is not None:
            found |= Q(of_it, check_name=answer.check_name, database=answer.database)
    return found


def _of_answer(how: str, answer: Any) -> Q | None:
    if how == "seen":
        return OPEN & Q(last_scan=answer.scan_id)
    if how == "new":
        return _came(answer.scan_id, answer.first, answer.last) if answer.new or answer.returned else None
    return _resolved_by(answer.scan) if answer.resolved else None


def _resolved_by(scan: Scan) -> Q:
    """A scan resolves as of its snapshot; one that asked no database, as of when it began to ask."""
    began = scan.recorded_at - timedelta(milliseconds=scan.duration_ms)
    return Q(resolved_at__range=(scan.snapshot_at or began, scan.snapshot_at or scan.recorded_at))


def in_scan(number: int) -> Q:
    """What was new or back in one scan, which may be forgotten."""
    of_it = Anomaly.objects.using(MEMORY).filter(appeared_scan=number).values_list("appeared_at", "database")
    first, last = (of_it.order_by(by)[:1] for by in ("appeared_at", "-appeared_at"))
    ends = list(first.union(last, all=True))
    return _came(number, min(ends)[0], max(ends)[0]) & Q(database=ends[0][1]) if ends else Q(pk__in=[])


def _came(scan: int, first: datetime | None, last: datetime | None) -> Q:
    if first is None or last is None:
        return Q(pk__in=[])
    # By the time lists go; two scans of a replica that lags may have the same. Said so that PostgreSQL takes it for
    # true as a rule, which it is: else it may read, for each kind, all that came with the scan, and sort it.
    of_it = IsNull(Case(When(appeared_scan=scan, then=True)), False)
    return Q(of_it, appeared_at__range=(first, last))
