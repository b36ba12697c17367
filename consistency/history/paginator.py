"""Pages of a table that may hold ten million rows, without counting them."""

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import QuerySet

MOST: Final = 10_000
"""Rows that are counted, and can be paged through; a search finds the others."""


class AtLeast(int):
    """A number that calculates as itself and is shown as `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than it shows pages."""

    @cached_property
    def count(self) -> int:
        """How many rows, or at least 10,000 if there are more."""
        counted = self.counted(MOST + 1)
        return AtLeast(MOST) if counted > MOST else counted

    def counted(self, most: int) -> int:
        """How many rows, up to so many, in whatever order is quickest."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:most].count()
