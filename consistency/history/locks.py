"""One advisory lock protects the anomalies, one per database protects a scan from first query to commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from zlib import crc32

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from psycopg.errors import LockNotAvailable

from common.postgres.deadline import deadline
from common.postgres.parameters import milliseconds, set_local

LOCK: Final = 0x636F6E73
"""First half of our advisory locks. The second half is the scanned database, or zero for the anomalies."""
WAIT_TIMEOUT: Final = 1.5
"""Seconds that an action of a person waits for a recording: half the time of a page."""


class AlreadyRunningError(Exception):
    """Another scan of the database is recording: exit code 3, HTTP 409."""


class AnomaliesLockedError(Exception):
    """Another process is changing anomalies, and not only for a moment."""

    def __init__(self) -> None:
        super().__init__("A scan is being recorded: try again in a moment.")


def lock_scan(cursor: Any, database: str) -> None:
    """Take the scan lock until the end of the transaction. Raises AlreadyRunningError."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, _signed(crc32(database.encode()))])
    if not cursor.fetchone()[0]:
        raise AlreadyRunningError(f"another scan of database {database!r} is under way: try again when it is done.")


def scan_is_running(database: str) -> bool:
    """Return True while any process records a scan of this database."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [LOCK, crc32(database.encode())],
        )
        return bool(cursor.fetchone()[0])


def lock_anomalies(cursor: Any) -> None:
    """Wait for the anomalies lock, and keep it until the end of the transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [LOCK])


@contextmanager
def changing_anomalies(wait: float = WAIT_TIMEOUT) -> Iterator[None]:
    """Run the block in a transaction with the anomalies lock. Raises AnomaliesLockedError after `wait` seconds."""
    connection = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                set_local(connection, {"lock_timeout": milliseconds(wait)})
                lock_anomalies(cursor)
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise AnomaliesLockedError from None
            raise
        yield


@contextmanager
def bounded_transaction(seconds: float, *, lock_timeout: float) -> Iterator[None]:
    """Run the block in a transaction with a deadline of `seconds`."""
    with deadline(seconds), transaction.atomic():
        set_local(connections[DEFAULT_DB_ALIAS], {"lock_timeout": milliseconds(lock_timeout)})
        yield


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number
