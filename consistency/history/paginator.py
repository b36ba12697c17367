"""Paginate a table of ten million rows without counting every row."""

from functools import cached_property
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import QuerySet

MOST: Final = 10_000
"""Rows to count and to page through. A search finds the rest."""


class AtLeast(int):
    """An integer with the text `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Count no further than the last page."""

    @cached_property
    def count(self) -> int:
        """How many rows, or at least 10,000 if there are more."""
        counted = self.counted(MOST + 1)
        return AtLeast(MOST) if counted > MOST else counted

    def counted(self, most: int) -> int:
        """How many rows, up to so many, in whatever order is quickest."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:most].count()
