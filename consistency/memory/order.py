"""A list by its own falling order: what lies beside an anomaly, and all of it, however long."""

from collections.abc import Iterator, Sequence
from typing import Final

from django.db.models import QuerySet
from django.db.models.fields.tuple_lookups import (  # type: ignore[import-untyped]
    Tuple,
    TupleGreaterThan,
    TupleLessThan,
)

from consistency.models.memory import Anomaly

PIECE: Final = 2000


def pieces(found: QuerySet[Anomaly]) -> Iterator[Sequence[Anomaly]]:
    """All of a list, some at a time.

    After the last row rather than by OFFSET or a cursor: no long snapshot, a slow reader holds nothing, and a pooler
    may answer each piece on another connection.
    """
    piece = list(found[:PIECE])
    while piece:
        yield piece
        piece = list(after(found, piece[-1])[:PIECE])


def after(found: QuerySet[Anomaly], anomaly: Anomaly) -> QuerySet[Anomaly]:
    """Those of a list, in its own falling order, that come after this one: rows are compared, as an index does."""
    fields = _order(found)
    place = tuple(getattr(anomaly, name) for name in fields)
    return found.filter(TupleLessThan(Tuple(*fields), place)) if None not in place else found.none()


def before(found: QuerySet[Anomaly], anomaly: Anomaly) -> QuerySet[Anomaly]:
    """Those that come before it, the nearest first."""
    fields = _order(found)
    place = tuple(getattr(anomaly, name) for name in fields)
    beyond = found.filter(TupleGreaterThan(Tuple(*fields), place)) if None not in place else found.none()
    return beyond.order_by(*fields)


def _order(found: QuerySet[Anomaly]) -> list[str]:
    return [str(name).removeprefix("-") for name in found.query.order_by or Anomaly._meta.ordering or ()]
