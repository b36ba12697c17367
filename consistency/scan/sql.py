"""The SQL of a check: compiled without a connection, for system checks, for streaming, and for people to run."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from unicodedata import category

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import Literal

from common.text import printable
from consistency.registry import NOTHING, Check, Query
from consistency.scan.findings import cells

Statement: TypeAlias = tuple[str, Sequence[Any]]


def compiled(query: Query, connection: BaseDatabaseWrapper) -> Statement | None:
    """The query as SQL and parameters; None if it is known to be empty."""
    try:
        sql, parameters = query.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return None
    return sql, parameters


def counting(query: Query, connection: BaseDatabaseWrapper) -> Statement | None:
    """The same for the number of its rows."""
    whole = query.query.combinator or query.query.distinct
    bare = query if whole else query.order_by().values_list(NOTHING)
    if not (statement := compiled(bare, connection)):
        return None
    return f"SELECT count(*) FROM ({statement[0]}) AS counted", statement[1]  # noqa: S608 - compiled SQL


def literal(statement: Statement) -> str:
    """The statement as a person can run it in psql."""
    sql, parameters = statement
    return sql % tuple(_literal(parameter) for parameter in parameters)


def _literal(parameter: Any) -> str:
    if not isinstance(parameter, str) or printable(parameter) == parameter:
        return Literal(parameter).as_string()
    # A character that turns the direction of writing, or covers others, would show another statement than what runs.
    escaped = (_escaped(character) for character in parameter)
    return f"E'{''.join(escaped)}'"


def _escaped(character: str) -> str:
    if printable(character) == character and not category(character).startswith("M"):
        return character * 2 if character in "'\\" else character
    return f"\\U{ord(character):08x}"


def runnable(check: Check, database: str) -> list[str]:
    """What a scan asks for this check: per model a count, then the rows; nothing for truth outside PostgreSQL."""
    connection = connections[database]
    queries = () if check.outside else check.queries()
    asked = [
        ask for query in queries for ask in (counting(query, connection), compiled(cells(query, check), connection))
    ]
    return [literal(statement) for statement in asked if statement]
