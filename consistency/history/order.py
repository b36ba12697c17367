"""A list by its own falling order: what lies beside a row, and all of it, however long."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.fields.tuple_lookups import (  # type: ignore[import-untyped]
    Tuple,
    TupleGreaterThan,
    TupleLessThan,
)

from consistency.history.kinds import Listed, order_of

Row = TypeVar("Row", bound=Model)

PIECE: Final = 2000


def pieces(found: QuerySet[Row]) -> Iterator[Sequence[Row]]:
    """All of a list, some at a time.

    After the last row rather than by OFFSET or a cursor: no long snapshot, a slow reader holds nothing, and a pooler
    may answer each piece on another connection.
    """
    piece = Listed(found).rows(0, PIECE)
    while piece:
        yield piece
        piece = Listed(after(found, piece[-1])).rows(0, PIECE)


def after(found: QuerySet[Row], row: Row) -> QuerySet[Row]:
    """Those of a list, in its own falling order, that come after this one."""
    return beyond(found, _place(found, row))


def before(found: QuerySet[Row], row: Row) -> QuerySet[Row]:
    """Those that come before it, the nearest first."""
    return beyond(found, _place(found, row), backwards=True)


def beyond(found: QuerySet[Row], place: tuple[Any, ...], *, backwards: bool = False) -> QuerySet[Row]:
    """Those after a place in it, or before: rows are compared, as an index does."""
    if None in place:
        return found.none()
    fields, how = fields_of(found), TupleGreaterThan if backwards else TupleLessThan
    return found.filter(how(Tuple(*fields), place)).order_by(*(name if backwards else f"-{name}" for name in fields))


def fields_of(found: QuerySet[Row]) -> list[str]:
    """What it goes by; the last is unique."""
    return [name.removeprefix("-") for name in order_of(found)]


def _place(found: QuerySet[Row], row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in fields_of(found))
