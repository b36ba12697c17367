"""Record a scan: findings stream into temporary tables, and SQL turns the rows into anomalies in one transaction."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

import psycopg
from django.db import DEFAULT_DB_ALIAS
from django.db import Error as DatabaseError
from django.utils import timezone

from common.budget import Budget
from common.errors import explain
from common.postgres.connections import new_connection, use_connections
from common.postgres.deadline import deadline
from common.postgres.parameters import milliseconds, set_local
from consistency.history import statements
from consistency.history.changes import RecordedScan
from consistency.history.locks import lock_scan
from consistency.history.write import write_scan
from consistency.models.history import Scan
from consistency.registry import Check
from consistency.scan.engine import Chunk
from consistency.scan.findings import Row, object_key
from consistency.scan.report import Report

CONNECT_TIMEOUT: Final = 5.0
LOCK_TIMEOUT: Final = 5.0
WRITE_TIMEOUT: Final = 120.0


class Recorder:
    """Use as a context manager around the scan: `store` its chunks, then `finish` with the report.

    One transaction on a connection of its own holds the scan lock from before the scan to the last row, so a killed
    process leaves neither lock nor rows. Entering raises AlreadyRunningError if another scan of the database records.
    After any other failure `problem` says why nothing is recorded, and the scan goes on.

    `seconds` is the expected duration of the scan. With `keep=False` the transaction is rolled back at the end.
    """

    def __init__(self, database: str, *, trigger: str, actor: str, seconds: float, keep: bool = True) -> None:
        self.database = database
        self.problem: str | None = None
        self._trigger, self._actor, self._keep = trigger, actor, keep
        self._seconds = seconds
        self._two_passes = False
        self._budget = Budget(seconds)
        self._connection: Any = new_connection(DEFAULT_DB_ALIAS)

    def __enter__(self) -> "Recorder":
        try:
            with self._recording(CONNECT_TIMEOUT):
                self._begin()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # After a mere close, the server would hold the lock for a moment, and the next scan would be refused.
        with self._recording(CONNECT_TIMEOUT):
            self._connection.rollback()
        self._connection.close()

    def store(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks, and copy each into the temporary tables before."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def add(self, chunk: Chunk) -> None:
        """Copy a chunk into the temporary tables."""
        if self.problem:
            return
        copy, values = statements.COPY_FINDINGS, _finding_values
        if not chunk.confirmed:
            self._two_passes = True
            copy, values = statements.COPY_UNCONFIRMED, _key_values
        with self._recording(WRITE_TIMEOUT), self._connection.cursor() as cursor, cursor.copy(copy) as writer:
            for row in chunk.rows:
                writer.write_row(values(chunk.check, row))

    def finish(self, report: Report) -> RecordedScan | None:
        """Write the scan and commit. Returns None if `problem` says why not. Raises OlderSnapshotError."""
        if self.problem:
            return None
        with self._recording(WRITE_TIMEOUT), self._connection.cursor() as cursor, use_connections(self._connection):
            recorded = write_scan(cursor, self._scan(report), report, two_passes=self._two_passes)
            if self._keep:
                self._connection.commit()
            return recorded
        return None

    def _begin(self) -> None:
        self._connection.set_autocommit(False)
        with self._connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            set_local(
                self._connection,
                {
                    "lock_timeout": milliseconds(LOCK_TIMEOUT),
                    "statement_timeout": milliseconds(WRITE_TIMEOUT),
                    "idle_in_transaction_session_timeout": milliseconds(self._seconds + WRITE_TIMEOUT),
                    # Statistics may be older than a mass change. Only hash joins are never quadratic then.
                    "enable_nestloop": "off",
                    "enable_mergejoin": "off",
                    "work_mem": "64MB",
                },
            )
            lock_scan(cursor, self.database)
            cursor.execute(statements.CREATE_TABLES)

    def _scan(self, report: Report) -> Scan:
        """Return the unsaved row of the scan."""
        internal = any(not outcome.check.external for outcome in report.outcomes)
        return Scan(
            database=self.database,
            recorded_at=timezone.now(),
            # A scan of external checks has no time of the database, and may be ahead of the database's clock.
            snapshot_at=report.checked_at if internal and not report.unreachable else None,
            trigger=self._trigger,
            actor=self._actor,
            complete=report.complete,
            status=report.status,
            duration_ms=self._budget.spent_ms(),
            affected_files=report.affected_files,
            baseline=asdict(report.baseline),
        )

    @contextmanager
    def _recording(self, timeout: float) -> Iterator[None]:
        """Turn an error of the database into `problem`; the scan goes on without a recording."""
        try:
            with deadline(timeout):
                yield
        except (DatabaseError, psycopg.Error) as error:  # Django does not translate errors of COPY
            self._connection.close()
            self.problem = recording_problem(error)


def recording_problem(error: Exception) -> str:
    """Return why the history cannot be read or written, safe for clients."""
    return f"history in database {DEFAULT_DB_ALIAS!r}: {explain(error) or 'PostgreSQL refused'}"


def _finding_values(check: Check, row: Row) -> tuple[Any, ...]:
    file = (row.get("file_uuid"), row.get("file_name"), row.get("status"))
    return (check.name, check.severity.value, *object_key(row), row["detail"], *file)


def _key_values(check: Check, row: Row) -> tuple[Any, ...]:
    return (check.name, *object_key(row))
