"""Print the SQL of a check, for system checks and for people to run in psql."""

from typing import Any
from unicodedata import category

import sqlparse
from django.core.exceptions import EmptyResultSet
from django.db import connections
from psycopg.sql import Literal

from common.postgres.connections import no_writes
from common.text import printable
from consistency.registry import NULL, Check, Query
from consistency.scan.findings import finding_values


def statements(check: Check, database: str) -> list[str]:
    """Return the SQL of a scan for this check: per model a count, then the rows. Empty for an external check."""
    with no_writes():
        queries = () if check.external else check.queries()
        return [
            statement
            for query in queries
            for statement in (count_sql(query, database), query_sql(finding_values(query, check), database))
            if statement
        ]


def query_sql(query: Query, database: str, *, reindent: bool = False) -> str | None:
    """Return a query as one statement for psql; None if the query is known to be empty. Opens no connection."""
    try:
        sql, parameters = query.query.get_compiler(connection=connections[database]).as_sql()
    except EmptyResultSet:
        return None
    if reindent:
        # Before the literals: sqlparse takes a backslash at the end of a literal for an escape.
        sql = sqlparse.format(sql, reindent=True)
    literals = tuple(_literal(parameter) for parameter in parameters)
    return str(sql % literals)


def count_sql(query: Query, database: str) -> str | None:
    """Return the statement that counts the rows of a query."""
    sql = query_sql(query.order_by().values_list(NULL), database)
    return sql and f"SELECT count(*) FROM ({sql}) AS counted"  # noqa: S608 - compiled SQL


def _literal(parameter: Any) -> str:
    if not isinstance(parameter, str) or printable(parameter) == parameter:
        return Literal(parameter).as_string()
    # A character that turns the direction of writing would misrepresent the statement.
    return f"E'{''.join(map(_escape, parameter))}'"


def _escape(character: str) -> str:
    if printable(character) == character and not category(character).startswith("M"):
        return character * 2 if character in "'\\" else character
    return f"\\U{ord(character):08x}"
