"""Paginate a table of millions of rows without counting all rows."""

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet

MAX_COUNT: Final = 10_000
"""Rows that are counted, and that pages reach. A search finds the remaining rows."""


class RowCount(int):
    """A number of rows, shown as `1,204`."""

    def __str__(self) -> str:
        return f"{int(self):,}"


class AtLeast(RowCount):
    """A lower bound, shown as `10,000+`."""

    def __str__(self) -> str:
        return f"{super().__str__()}+"


def bounded(counted: int) -> RowCount:
    """Return a RowCount, or AtLeast(MAX_COUNT) for more rows."""
    return AtLeast(MAX_COUNT) if counted > MAX_COUNT else RowCount(counted)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Count at most MAX_COUNT rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or AtLeast(MAX_COUNT)."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # Without an order PostgreSQL takes the quickest way to the rows.
        return bounded(rows.order_by().values("pk")[: MAX_COUNT + 1].count())

    def page(self, number: int | str) -> Page[Any]:
        """Return a page."""
        page = super().page(number)
        if page.number > 1:
            # Read the keys first: PostgreSQL would compute the annotations of all rows before the page.
            rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
            keys = list(rows.values_list("pk", flat=True)[page.start_index() - 1 : page.end_index()])
            page.object_list = rows.filter(pk__in=keys)
        return page


def rows_after(row: Any, rows: "QuerySet[Any]", limit: int, *, backwards: bool = False) -> list[Any]:
    """Return at most `limit` rows after a row, nearest first, in the order of a queryset by columns or annotations.

    The queryset may lack the row: an action may have taken the row from the list.
    """
    order: dict[str, bool] = {}
    for name in map(str, rows.query.order_by or rows.model._meta.ordering):
        order.setdefault(name.lstrip("-"), name.startswith("-") is not backwards)
    rows = rows.order_by(*(f"-{column}" if descending else column for column, descending in order.items()))
    after: list[Any] = []
    # The nearest rows are equal in all columns but the last. An OR of the conditions would read the rows before.
    for depth, (column, descending) in reversed(list(enumerate(order.items()))):
        equal = {name: getattr(row, name) for name in list(order)[:depth]}
        for condition in _beyond(column, getattr(row, column), descending):
            if len(after) < limit:
                after += rows.filter(condition, **equal)[: limit - len(after)]
    return after


def _beyond(column: str, value: Any, descending: bool) -> list[Q]:
    """Return the conditions of the rows after a value, in their order. PostgreSQL orders NULL as the highest value."""
    if value is None:
        return [Q(**{f"{column}__isnull": False})] if descending else []
    if descending:
        return [Q(**{f"{column}__lt": value})]
    return [Q(**{f"{column}__gt": value}), Q(**{f"{column}__isnull": True})]
