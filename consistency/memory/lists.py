"""What reviewers ask of the memory: one page of a list, what is silent, what each check last came to, how old it is."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Count, Exists, F, Func, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan  # type: ignore[import-untyped]
from django.db.models.functions import Coalesce
from django.utils import timezone

from consistency.memory.hops import anomalous, last_of_each
from consistency.memory.silence import MEMORY, holds
from consistency.models.memory import NO_FILE, OPEN, STARTS, Anomaly, Mute, Scan, ScanCheck, State, starting
from consistency.registry import CHECKS

Row = TypeVar("Row", bound=Model)

FEW: Final = 10_000


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


def page(found: QuerySet[Row], fields: Sequence[str], *, cursor: str | None, limit: int) -> Page[Row]:
    """The newest by these fields, the last of which is unique, after the cursor's row; raises CursorError.

    It goes by the row's own values: rows that come or go meanwhile shift nothing, however many share a time.
    """
    backwards, place = _decoded(cursor, found.model, fields)
    if place:
        beyond = TupleGreaterThan if backwards else TupleLessThan
        found = found.filter(beyond(Tuple(*fields), place))
    rows = list(found.order_by(*(name if backwards else f"-{name}" for name in fields))[: limit + 1])
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
def in_force(database: str | None = None) -> list[Mute]:
    """The mutes that hold by what was recorded last, of one database or all; those exceeded are left as they are."""
    now = timezone.now()
    recorded = ScanCheck.objects.filter(
        check_name=OuterRef("check_name"), scan__database=OuterRef("database"), count__isnull=False
    )
    running = Mute.objects.using(MEMORY).filter(ended_at__isnull=True, until__gt=now)
    if database is not None:
        running = running.filter(database=database)
    # 1 where nothing was recorded, so that the mute of a check that never ran yet holds.
    last = Coalesce(Subquery(recorded.order_by("-scan_id").values("count")[:1]), 1)
    return [mute for mute in running.annotate(last=last) if holds(mute, mute.last, now)]


def silenced(mutes: Sequence[Mute]) -> Q:
    """Those anomalies that decide nothing: acknowledged, or of a check that one of these mutes is about."""
    return acknowledged() | OPEN & _about(mutes)


def acknowledged() -> Q:
    """Those that somebody has acknowledged, while that holds."""
    return OPEN & Q(acknowledged_until__gt=timezone.now())


def standing(state: str, mutes: Sequence[Mute]) -> Q:
    """Those that stand like that: by a state, `open`, `acknowledged`, `muted` or `all`."""
    if state == "acknowledged":
        return acknowledged()
    if state == "muted":
        return muted(mutes)
    wide = {"all": Q(), "open": OPEN, State.RESOLVED: ~OPEN}
    return wide[state] if state in wide else OPEN & Q(state=state)


def heard(mutes: Sequence[Mute]) -> Q:
    """The other open ones, said so that an index finds them: by the checks that are left, however many are silent."""
    return OPEN & _unacknowledged() & (_of_others(mutes) if mutes else Q())


def muted(mutes: Sequence[Mute]) -> Q:
    """Those open ones that are silent through one of these mutes alone."""
    return OPEN & _unacknowledged() & _about(mutes)


def any_acknowledged() -> bool:
    """Whether one is, on any database."""
    return Anomaly.objects.using(MEMORY).filter(acknowledged()).order_by().exists()


def _unacknowledged() -> Q:
    loud = Q(acknowledged_until__isnull=True)
    over = Q(acknowledged_until__lte=timezone.now())
    # The next scan takes the end of an acknowledgement off the row; only until then it takes an OR, and no index.
    if Anomaly.objects.using(MEMORY).filter(over, resolved_at__isnull=True).exists():
        loud |= over
    return loud


def beginning(word: str, *fields: str) -> Q:
    """Those of which one of these fields begins so; where they are few, by the index of the text alone.

    The names of files go with the time, which PostgreSQL does not know: it would leaf through the list until it
    meets them, to the end.
    """
    found = Anomaly.objects.using(MEMORY).alias(**{f"start_of_{field}": starting(field) for field in fields})
    found = found.filter(Q(*(_begins(word, field) for field in fields), _connector=Q.OR))
    if found.order_by("-appeared_at", "-id")[: FEW + 1].count() > FEW:
        return Q(*((f"{field}__startswith", word) for field in fields), _connector=Q.OR)
    return Q(_Among(F("pk"), ArraySubquery(found.order_by().values("pk"))))


def _begins(word: str, field: str) -> Q:
    """Said so that the index finds it, which holds the first characters alone."""
    begins = Q((f"start_of_{field}__startswith", word[:STARTS]))
    if len(word) > STARTS:
        begins &= Q((f"{field}__startswith", word))
    return begins & NO_FILE if field == "object_id" else begins


class _Among(Func):
    """Whether a key is in an array: IN would be a join, which could go by the list again."""

    template, arg_joiner = "%(expressions)s)", " = ANY("
    output_field = BooleanField()


def _about(mutes: Sequence[Mute]) -> Q:
    about = Q(pk__in=[])
    for mute in mutes:
        about |= Q(database=mute.database, check_name=mute.check_name)
    return about


def _of_others(mutes: Sequence[Mute]) -> Q:
    silent = {(mute.check_name, mute.database) for mute in mutes}
    left: dict[str, list[str]] = {}
    for name, database in anomalous():
        if (name, database) not in silent:
            left.setdefault(database, []).append(name)
    others = Q(pk__in=[])
    for database, names in left.items():
        others |= Q(database=database, check_name__in=names)
    return others


def acknowledged_of_each_check(database: str) -> dict[str, int]:
    """How many anomalies of each check are acknowledged now; checks without any are absent."""
    held = Anomaly.objects.using(MEMORY).filter(acknowledged(), database=database)
    return dict(held.order_by().values_list("check_name").annotate(count=Count("*")))


# --- What was recorded last ------------------------------------------------------------------------------
def last_of_each_check(database: str) -> dict[str, ScanCheck]:
    """What each check, retired ones too, came to in the last recorded scan that ran it."""
    newest = ScanCheck.objects.using(MEMORY).filter(pk__in=last_of_each(database)).select_related("scan")
    return {found.check_name: found for found in newest}


def before(scan: int, check: str, database: str) -> ScanCheck | None:
    """What the check came to in the last scan of this database before that one."""
    recorded = ScanCheck.objects.using(MEMORY).filter(check_name=check, scan_id__lt=scan, scan__database=database)
    return recorded.order_by("-scan_id").first()


def last_complete_scan(database: str = MEMORY) -> Scan | None:
    """The last recorded scan in which all ran, the checks of every report among them; a look at one check is none."""
    found = Scan.objects.using(MEMORY).filter(database=database, complete=True)
    for name in (name for name, check in CHECKS.items() if check.default):
        found = found.filter(Exists(ScanCheck.objects.filter(scan_id=OuterRef("pk"), check_name=name)))
    return found.order_by("-id").first()


def first_scan(database: str = MEMORY) -> Scan | None:
    """The oldest scan that is still remembered."""
    return Scan.objects.using(MEMORY).filter(database=database).order_by("id").first()


def last_scan(database: str = MEMORY) -> Scan | None:
    """The scan that was recorded last, complete or not."""
    return Scan.objects.using(MEMORY).filter(database=database).order_by("-id").first()
