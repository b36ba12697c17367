"""The filters and the transaction of the commands that read or write the history."""

from contextlib import AbstractContextManager
from typing import Any, Final

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters import FilterSet

from common.arguments import InvalidInputError
from consistency.history.filters import first_error
from consistency.history.locks import bounded_transaction

HISTORY_TIMEOUT: Final = 300.0
"""Seconds for a whole command: a person pages through a long list."""
LOCK_TIMEOUT: Final = 5.0


def history_transaction() -> AbstractContextManager[None]:
    """Return a transaction in which a locked table raises an error after LOCK_TIMEOUT."""
    return bounded_transaction(HISTORY_TIMEOUT, lock_timeout=LOCK_TIMEOUT)


def add_filters(parser: CommandParser, filters: type[FilterSet]) -> None:
    """Add a repeatable option for each filter."""
    for name, parameter in filters.base_filters.items():
        text = parameter.extra["help_text"]
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, action="append", default=[], metavar=name.upper(), help=text)


def filter_query(options: dict[str, Any], filters: type[FilterSet]) -> QueryDict:
    """Return the given filters as a REST query would hold them."""
    query = QueryDict(mutable=True)
    for name in filters.base_filters:
        if options[name]:
            query.setlist(name, options[name])
    return query


def filter_rows(filters: type[FilterSet], query: QueryDict, rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """Return the rows that match the query. Raises InvalidInputError."""
    filterset = filters(query, rows)
    if error := first_error(filterset):
        raise InvalidInputError(error)
    matching: QuerySet[Any] = filterset.qs
    return matching
