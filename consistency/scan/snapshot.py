"""Transactions of a scan: read-only, bounded, and refused to statements that do more than read."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from common.budget import Budget
from common.postgres.parameters import EVERY_ROW, FORMATS, milliseconds, set_local
from consistency.registry import CheckError

LOCK_TIMEOUT: Final = 1.0
"""Seconds to wait for a locked table, for example during a migration of the media server."""
READ_STATEMENTS: Final = ("SELECT", "WITH", "EXPLAIN", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")

# A standby without a replayed commit since the start has the data of the checkpoint.
REPLAYED_AT: Final = (
    "CASE WHEN pg_is_in_recovery() THEN"
    " coalesce(pg_last_xact_replay_timestamp(), (SELECT checkpoint_time FROM pg_control_checkpoint())) END"
)


def begin_snapshot(connection: BaseDatabaseWrapper, seconds: float) -> datetime:
    """Turn the transaction into a REPEATABLE READ snapshot; return the time of the data.

    On a primary the time is the server's clock. On a standby the time is the last replayed commit: read before the
    snapshot is taken, so the snapshot holds at least that commit.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SELECT statement_timestamp(), {REPLAYED_AT}")
        taken_at, replayed_at = cursor.fetchone()
        if replayed_at:
            cursor.execute("ROLLBACK AND CHAIN")
        limit_transaction(connection, seconds)
    data_at: datetime = replayed_at or taken_at
    return data_at


def limit_transaction(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Set the limits of a scan's transaction: locks, idle time, formats, every row or none, reading only."""
    limits = {
        **FORMATS,
        **EVERY_ROW,
        "default_transaction_read_only": "on",
        "lock_timeout": milliseconds(LOCK_TIMEOUT),
        "idle_in_transaction_session_timeout": milliseconds(seconds),
        # A scan reads every row of a cursor. The default plans for the first tenth.
        "cursor_tuple_fraction": "1",
    }
    set_local(connection, limits)


def limit_statement(connection: BaseDatabaseWrapper, budget: Budget) -> None:
    """Give the next statement the rest of the budget. The server ends it, and the transaction lives on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds(budget.remaining())])


@contextmanager
def reading_only(connection: BaseDatabaseWrapper, refused: Mapping[str, str]) -> Iterator[None]:
    """Refuse statements that leave or end the read-only transaction, such as COMMIT, which PostgreSQL accepts.

    Also refuse statements that name these tables; the values are the reasons.
    """
    with connection.execute_wrapper(partial(_refuse_other_statements, refused)):
        yield


def _refuse_other_statements(refused: Mapping[str, str], execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
    context: dict[str, Any] = rest[-1]
    if is_lost(context["connection"]):
        raise CheckError("it left the scan's transaction")
    statement = str(sql).lstrip("( \n\t")
    # A second statement after a semicolon would pass unchecked.
    if not statement.upper().startswith(READ_STATEMENTS) or ";" in statement:
        raise CheckError("it tried to do more than read")
    for table, reason in refused.items():
        if re.search(rf"\b{table}\b", statement):
            raise CheckError(reason)
    return execute(sql, *rest)


def is_lost(connection: BaseDatabaseWrapper) -> bool:
    """Return True if the transaction has ended, and the snapshot with it. Asks libpq, not the server."""
    if connection.connection is None or connection.needs_rollback:
        return True
    status = connection.connection.info.transaction_status
    return status not in (TransactionStatus.INTRANS, TransactionStatus.INERROR)
