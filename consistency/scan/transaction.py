"""One READ ONLY, REPEATABLE READ transaction, in which a scan sees one instant and cannot write."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Final, cast

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from common.budget import Budget
from consistency.registry import CheckError

LOCK_TIMEOUT: Final = 1.0
"""Seconds to wait for a table that is locked, as by a migration of the media server."""

WITHOUT_TRANSACTION_TIMEOUT: Final = """\
CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
    THEN set_config('transaction_timeout', '0', true) END"""
"""From PostgreSQL 17 on, a role or a database may have a limit that ends the session of whoever takes longer, a scan or
a recording just as well: ours have limits of their own."""

# What had arrived by now; null where nothing comes any more, or nothing new has come since it was connected. Of the
# receiver everybody may see whether there is one, and no more.
ARRIVED: Final = """
SELECT statement_timestamp(), CASE
    WHEN EXISTS (SELECT FROM pg_stat_wal_receiver) AND pg_last_wal_receive_lsn() >= pg_last_wal_replay_lsn()
    THEN pg_last_wal_receive_lsn() END"""
# A standby that was just started may have replayed no commit; but it has the checkpoint that it started from.
REPLAYED: Final = """
SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn,
    coalesce(pg_last_xact_replay_timestamp(), (SELECT checkpoint_time FROM pg_control_checkpoint()))"""
TRIES: Final = 10
PAUSE: Final = 0.02
"""Seconds: what arrives is replayed within some milliseconds, where nothing is wrong."""

READING: Final = ("SELECT", "WITH", "EXPLAIN", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")


def begin(connection: BaseDatabaseWrapper, seconds: float) -> datetime:
    """Make the transaction that was just begun a snapshot for reading; returns until when what it shows reaches.

    On a primary that is the snapshot's time, by the server's clock. A standby may be behind: it is the time of the
    standby's clock only if that has replayed all that its primary has sent, and still receives; else that of the last
    commit replayed, by the primary's clock, which may be long ago. (A standby of a standby knows no more than that one
    sends; where the server cannot be asked for all this, its clock has to do.)
    """
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        reaches, standby = _set(cursor, seconds)
        if standby:
            reaches = _replayed(cursor) or reaches
            # A new snapshot, for the first was taken before the question: now at least what was known then is in it.
            cursor.execute("ROLLBACK AND CHAIN")
            _set(cursor, seconds)
    return reaches


def _set(cursor: Any, seconds: float) -> tuple[datetime, bool]:
    """Take the snapshot, with what holds in this transaction; returns its time, and whether this is a standby."""
    settings = {"lock_timeout": LOCK_TIMEOUT, "idle_in_transaction_session_timeout": seconds}
    # Of a cursor all rows are wanted, not the first ones soon.
    cursor.execute(
        "SELECT statement_timestamp(), pg_is_in_recovery(), set_config('timezone', 'UTC', true)"
        f", set_config('cursor_tuple_fraction', '1', true), {WITHOUT_TRANSACTION_TIMEOUT}"
        + ", set_config(%s, %s, true)"
        * len(settings),
        [word for name, value in settings.items() for word in (name, _milliseconds(value))],
    )
    taken, standby, *_ = cursor.fetchone()
    return taken, standby


def _replayed(cursor: Any) -> datetime | None:
    """Until when the data of a standby reaches at least; None if it does not say, and the transaction has failed."""
    try:
        cursor.execute(ARRIVED)
        now, arrived = cursor.fetchone()
        for _ in range(TRIES if arrived else 1):
            cursor.execute(REPLAYED, [arrived])
            everything, last = cursor.fetchone()
            if everything:
                return cast(datetime, now)
            time.sleep(PAUSE)
    except DatabaseError:
        # Services that are like PostgreSQL lack some of these functions.
        return None
    return cast(datetime, last)


def bounded(connection: BaseDatabaseWrapper, seconds: float) -> AbstractContextManager[None]:
    """Let the block wait for PostgreSQL no longer; past it the connection is given up, and OperationalError raised."""
    deadline: AbstractContextManager[None] = cast(Any, connection).deadline(seconds)
    return deadline


@contextmanager
def patient(connection: BaseDatabaseWrapper, seconds: float, *, locks: float) -> Iterator[None]:
    """A transaction that takes no longer than so many seconds, and waits `locks` for what somebody else holds."""
    with bounded(connection, seconds), transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT set_config('lock_timeout', %s, true), {WITHOUT_TRANSACTION_TIMEOUT}", [_milliseconds(locks)]
            )
        yield


def limit_statement(connection: BaseDatabaseWrapper, budget: Budget) -> None:
    """Let the next statement take what is left and no longer: the server ends it, and the transaction lives on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_milliseconds(budget.left())])


def _milliseconds(seconds: float) -> str:
    # 0 would mean no limit at all.
    return str(max(1, int(seconds * 1000)))


@contextmanager
def only_reading(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Refuse what PostgreSQL would accept from a read-only transaction: COMMIT, and then a write in the next one."""
    with connection.execute_wrapper(_refuse_all_but_reading):
        yield


def _refuse_all_but_reading(execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
    context: dict[str, Any] = rest[-1]
    if context["connection"].in_atomic_block and _ended(context["connection"]):
        raise CheckError("it left the scan's transaction")
    statement = str(sql).lstrip("( \n\t")
    # One statement at a time: what follows a semicolon would go unseen.
    if not statement.upper().startswith(READING) or ";" in statement:
        raise CheckError("it tried to do something else than read")
    return execute(sql, *rest)


def lost(connection: BaseDatabaseWrapper) -> bool:
    """Whether the transaction that was begun is gone, and its snapshot with it."""
    return connection.connection is None or connection.needs_rollback or _ended(connection)


def _ended(connection: BaseDatabaseWrapper) -> bool:
    # What libpq knows by itself; no question to the server.
    return connection.connection.info.transaction_status not in (TransactionStatus.INTRANS, TransactionStatus.INERROR)
