"""Pages of scans and anomalies by cursor."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from common.arguments import InvalidInputError, parse_count
from consistency.api.parameters import whole_number

MAX_PAGE_SIZE: Final = 1000
LINK: Final = {
    "type": ["string", "null"],
    "format": "uri-reference",
    "description": "Relative to the address of the request; null at the end.",
}


class HistoryPagination(CursorPagination):
    """Pages in the order of the queryset, a unique column. A page continues after the last row of the page before.

    Links have no scheme and host: a client behind a proxy may know the server by another name.
    """

    page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = f"Rows of a page, at most {MAX_PAGE_SIZE}; {page_size} by default."
    cursor_query_description = "From `next` or `previous` of an answer with the same filters."
    results_key: str

    def paginate_queryset(self, queryset: "QuerySet[Any]", request: Request, view: Any = None) -> list[Any] | None:
        page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        self.base_url = request.get_full_path()
        return page

    def get_ordering(self, request: Request, queryset: "QuerySet[Any]", view: Any) -> tuple[str, ...]:
        """Return the ordering of the filters, else of the model."""
        ordering: Sequence[Any] = queryset.query.order_by or queryset.model._meta.ordering
        return tuple(ordering)

    def get_page_size(self, request: Request) -> int:
        """Return `limit`. Raises InvalidInputError, where DRF ignores a bad value."""
        return whole_number(request.query_params, "limit", 1, MAX_PAGE_SIZE) or self.page_size

    def encode_cursor(self, cursor: Any) -> str:
        """Return a link. The cursor names the ordering, because a position in another list has no meaning."""
        return super().encode_cursor(cursor._replace(position=f"{self.ordering[0]} {cursor.position}"))

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the cursor. Raises InvalidInputError, where DRF answers 404 or the first page."""
        values = request.query_params.getlist(self.cursor_query_param)
        if not values:
            return None
        with suppress(NotFound, ValueError):
            cursor: Any = super().decode_cursor(request)
            ordering, _, position = (cursor.position or "").partition(" ")
            if len(values) == 1 and ordering == self.ordering[0]:
                parse_count(position)
                decoded: Cursor = cursor._replace(position=position)
                return decoded
        raise InvalidInputError("cursor must be one from `next` or `previous` of an answer with the same filters.")

    def get_paginated_response(self, data: list[Any]) -> Response:
        return Response({self.results_key: data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Add the limits of `limit` to the description of DRF."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": MAX_PAGE_SIZE}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = {self.results_key: schema, "next": LINK, "previous": LINK}
        return {"type": "object", "properties": properties, "required": list(properties)}


class AnomalyPagination(HistoryPagination):
    results_key = "anomalies"


class ScanPagination(HistoryPagination):
    results_key = "scans"
