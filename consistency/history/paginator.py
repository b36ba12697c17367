"""Paginate a table of millions of rows without counting all rows."""

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

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
