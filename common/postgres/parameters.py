"""Configuration parameters of PostgreSQL: those of every connection, and those of one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# The formats that psycopg reads and that checks print. A role or a database may have other defaults.
FORMATS: Final = {"datestyle": "ISO", "intervalstyle": "postgres", "bytea_output": "hex", "timezone": "UTC"}
# PostgreSQL then refuses a query that row-level security would filter.
EVERY_ROW: Final = {"row_security": "off"}
# Seconds. A look-up of credentials has 0.8 s, so a wait for a locked table must end before.
LOCK_TIMEOUT: Final = 0.3
LIMITS: Final = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
RESET_LIMITS: Final = "; ".join(f"RESET {name}" for name in LIMITS)
SET_LIMITS: Final = ", ".join(f"set_config('{name}', %s, false)" for name in LIMITS)
# PostgreSQL 17 added transaction_timeout. A role's own value must not end a scan, which has a budget.
NO_TRANSACTION_TIMEOUT: Final = (
    "CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL"
    " THEN set_config('transaction_timeout', '0', true) END"
)


def set_local(connection: BaseDatabaseWrapper, values: dict[str, str]) -> None:
    """Set configuration parameters until the end of the transaction."""
    calls = ", ".join(["set_config(%s, %s, true)"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {calls}, {NO_TRANSACTION_TIMEOUT}", [word for pair in values.items() for word in pair])


@contextmanager
def every_row(alias: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run the block in a transaction in which PostgreSQL refuses a query that row-level security would filter."""
    with transaction.atomic(using=alias):
        set_local(connections[alias], EVERY_ROW)
        yield


def limits(seconds: float) -> list[str]:
    """Return the values of LIMITS for sessions whose caller waits so many seconds. PostgreSQL gives up before."""
    whole = milliseconds(seconds - min(0.5, seconds / 10))
    return [milliseconds(min(LOCK_TIMEOUT, seconds / 5)), whole, whole]


def milliseconds(seconds: float) -> str:
    """Return a timeout for PostgreSQL. Zero would mean no limit, so the least is one millisecond."""
    return str(max(1, int(seconds * 1000)))
