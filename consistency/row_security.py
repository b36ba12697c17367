"""Row-level security of the media server's tables."""

from django.db import DatabaseError, connections

from common.errors import is_row_security
from common.postgres.parameters import every_row


def hides_rows(alias: str, table: str) -> bool:
    """Return whether a policy applies to the role of the database, on a table or below a view.

    PostgreSQL then refuses to plan the query, also if the policy shows every row.
    """
    try:
        with every_row(alias), connections[alias].cursor() as cursor:
            cursor.execute(f'EXPLAIN SELECT FROM "{table}"')
    except DatabaseError as error:
        return is_row_security(error)
    return False
