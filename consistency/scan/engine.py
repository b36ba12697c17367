"""Run checks and yield the findings in chunks. Reports, streams and recordings read from this engine."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db import Error as DatabaseError

from common.budget import Budget
from common.postgres.connections import read_only_connections, use_connections
from common.postgres.deadline import deadline
from consistency.registry import Check, CheckError, Query
from consistency.scan import reasons
from consistency.scan.external import confirmed_rows
from consistency.scan.findings import Row, affected_files, finding_values, pass_key, rows
from consistency.scan.guards import Guard
from consistency.scan.report import NO_SUPPRESSIONS, Outcome, Report, Suppressions, could_not_run
from consistency.scan.snapshot import begin_snapshot, is_lost, limit_statement, reading_only

CHUNK_SIZE: Final = 2000
"""Rows per chunk. Memory holds one chunk; larger chunks are no faster."""
CLOSE_TIMEOUT: Final = 1.0
"""Seconds that PostgreSQL gets after the budget, to end statements and the transaction."""

Progress: TypeAlias = Callable[[Check], None]
RowChunks: TypeAlias = Callable[[Check, Budget], Iterator[list[Row]]]


class Chunk(NamedTuple):
    """Findings of a check."""

    check: Check
    rows: list[Row]
    confirmed: bool = True
    """False for findings that the first of two passes did not see."""


@dataclass(slots=True)
class FirstPass:
    """Findings of a first pass as hashes, and the checks that could not run."""

    keys: dict[Check, set[int]] = field(default_factory=dict)
    errors: dict[Check, str] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Remember the findings of a chunk."""
        self.keys.setdefault(chunk.check, set()).update(map(pass_key, chunk.rows))


@dataclass(slots=True)
class _Tally:
    """Counts of the check under way."""

    count: int = 0
    acknowledged: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)


class Engine:
    """Iterate once for chunks of findings, then read `report`.

    One READ ONLY, REPEATABLE READ transaction on a connection of its own runs the internal checks. External checks run
    after that transaction (external.py). An error costs only the check that raised it; a check that loses the
    connection is left out, and the remaining checks run in a new snapshot.

    `timeout` is seconds for the whole pass. `limit` is rows per check; None reads all rows. `every_row` yields all rows
    in spite of the limit, for recordings. `accept` names guards to pass. `idle_timeout` is seconds that a reader may
    pause between two chunks.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        database: str = DEFAULT_DB_ALIAS,
        timeout: float = 10.0,
        limit: int | None = None,
        every_row: bool = False,
        suppressions: Suppressions = NO_SUPPRESSIONS,
        first_pass: FirstPass | None = None,
        accept: Collection[str] = (),
        progress: Progress | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self.checks = checks
        self.database = database
        self.limit = limit
        self._every_row = every_row or limit is None or first_pass is not None
        self.suppressions = suppressions
        self._guard = Guard(suppressions.baseline, accept)
        self._first_pass = first_pass
        self._progress = progress or (lambda check: None)
        # The server must end a statement before the deadline ends the connection, and the snapshot with it.
        self._budget = Budget(timeout - min(0.5, timeout / 10))
        self._idle_timeout = timeout if idle_timeout is None else idle_timeout
        # A check may name another database than the scanned one: no connection of this thread may write.
        self._connections = read_only_connections()
        self.connection = self._connections[database]
        self._stop_reason: str | None = None
        self._checked_at: datetime | None = None
        self._started_at = datetime.now(UTC)
        self._unreachable: str | None = None
        self._affected_files: int | None = None
        self._files: set[int] = set()
        self._tally = _Tally()
        self._outcomes: dict[Check, Outcome] = {}

    @property
    def report(self) -> Report:
        """Return the outcomes without rows. A check that did not run yet could not run."""
        return Report(
            checked_at=self._checked_at or self._started_at,
            outcomes=[self._outcomes.get(check) or could_not_run(check, reasons.NO_TIME) for check in self.checks],
            affected_files=self._affected_files,
            unreachable=self._unreachable,
            baseline=self._guard.baseline,
        )

    def stop(self, reason: str) -> None:
        """End the scan: at the next chunk, or in the query that another thread waits for."""
        self._stop_reason, self._budget = reason, Budget(0)
        if (connection := self.connection.connection) is not None:  # the other thread may close the connection
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=CLOSE_TIMEOUT)

    def __iter__(self) -> Generator[Chunk, None, None]:
        chunks = self._chunks()
        try:
            while (chunk := self._next(chunks)) is not None:
                yield chunk
        finally:
            with self._working():
                chunks.close()  # type: ignore[attr-defined]
            for connection in self._connections.values():
                connection.close()

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        """Continue the scan. Between two chunks the thread's own connection serves other code."""
        with self._working():
            return next(chunks, None)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with use_connections(*self._connections.values()), deadline(self._budget.remaining() + CLOSE_TIMEOUT):
            yield

    # --- The order of the checks -------------------------------------------------------------------------
    def _chunks(self) -> Iterator[Chunk]:
        internal = [check for check in self.checks if not check.external]
        while waiting := [check for check in internal if check not in self._outcomes]:
            yield from self._run_in_snapshot(waiting)
        if not internal:
            self._affected_files = 0
        self.connection.close()  # an external check opens a connection of its own
        external = [check for check in self.checks if check.external]
        for position, check in enumerate(external):
            yield from self._run(check, self._external_rows, len(external) - position)

    def _run_in_snapshot(self, waiting: Sequence[Check]) -> Iterator[Chunk]:
        try:
            with transaction.atomic(using=self.database, durable=True):
                checked_at = begin_snapshot(self.connection, self._idle_timeout)
                self._guard.compare_tables(self.connection, self._budget.share(len(waiting) + 1))
                self._checked_at = self._checked_at or checked_at
                for position, check in enumerate(waiting):
                    yield from self._run(check, self._internal_rows, len(waiting) - position)
                    if is_lost(self.connection):
                        raise _ConnectionLostError
                self._count_affected_files()
        except _ConnectionLostError:
            self.connection.close()
            if not self._budget.remaining():
                self._fail(waiting, reasons.NO_TIME)
        except DatabaseError as error:
            # A transaction may fail at the end, after every result.
            if any(check not in self._outcomes for check in waiting):
                self._unreachable = reasons.no_snapshot(error, self._budget)
                self._fail(waiting, self._unreachable)

    def _fail(self, checks: Sequence[Check], reason: str) -> None:
        for check in checks:
            self._outcomes.setdefault(check, could_not_run(check, reason))

    # --- One check ---------------------------------------------------------------------------------------
    def _run(self, check: Check, row_chunks: RowChunks, parts: int) -> Iterator[Chunk]:
        """Yield the findings of a check and set the outcome, also after an exception."""
        self._progress(check)
        share = self._budget.share(parts)
        self._tally = tally = _Tally()
        try:
            if self._first_pass and (error := self._first_pass.errors.get(check)):
                raise CheckError(f"in the first pass: {error}")
            for chunk in row_chunks(check, share):
                yield from self._counted(check, chunk)
                if self._stop_reason:
                    raise CheckError(self._stop_reason)
            self._outcomes[check] = self._outcome(check, tally, share)
            self._files |= tally.files
        except Exception as error:
            lost = not check.external and is_lost(self.connection)
            self._outcomes[check] = could_not_run(check, reasons.reason(error, share, lost=lost), share.spent_ms())

    def _counted(self, check: Check, chunk: list[Row]) -> Iterator[Chunk]:
        """Count the findings of a chunk; split off the findings unknown to a first pass."""
        confirmed = chunk
        if self._first_pass is not None:
            keys = self._first_pass.keys.get(check, set())
            confirmed = [row for row in chunk if pass_key(row) in keys]
            if len(confirmed) < len(chunk):
                yield Chunk(check, [row for row in chunk if pass_key(row) not in keys], confirmed=False)
            self._tally.files.update(hash(row["file_uuid"]) for row in confirmed if row.get("file_uuid") is not None)
        if self._reads_all_rows(check):
            self._tally.count += len(confirmed)
            for row in confirmed:
                if (key := self.suppressions.acknowledged_key(check, row)) is not None:
                    self._tally.acknowledged.add(key)
        if confirmed:
            yield Chunk(check, confirmed)

    def _outcome(self, check: Check, tally: _Tally, share: Budget) -> Outcome:
        acknowledged = len(tally.acknowledged)
        mute = self.suppressions.mutes.get(check.name)
        if mute is not None and not (tally.count and mute.holds(tally.count)):
            mute = None
        return Outcome(
            check=check,
            count=tally.count,
            truncated=self.limit is not None and tally.count > self.limit,
            duration_ms=share.spent_ms(),
            acknowledged=acknowledged,
            muted=tally.count - acknowledged if mute else 0,
            mute=mute,
        )

    def _reads_all_rows(self, check: Check) -> bool:
        """Return True if the engine reads every row, to yield the rows or to find acknowledged findings."""
        return self._every_row or check.external or bool(self.suppressions.acknowledged.get(check.name))

    def _internal_rows(self, check: Check, share: Budget) -> Iterator[list[Row]]:
        """Yield the rows of all queries of a check, behind a savepoint that outlives an error."""
        remaining = self.limit or 0
        with transaction.atomic(using=self.database), reading_only(self.connection, self._guard.refused):
            limit_statement(self.connection, share)
            for query in check.queries():
                values = finding_values(query.using(self.database), check)
                if self._reads_all_rows(check):
                    yield from self._all_rows(check, query, values, share)
                    continue
                limit_statement(self.connection, share)
                count = query.using(self.database).count()
                self._tally.count += count
                if count and remaining:
                    limit_statement(self.connection, share)
                    first = list(rows(query, check, values[:remaining]))
                    remaining -= len(first)
                    yield first

    def _all_rows(self, check: Check, query: Query, values: Query, share: Budget) -> Iterator[list[Row]]:
        limit_statement(self.connection, share)
        tuples: Any = values.iterator(chunk_size=CHUNK_SIZE)
        with closing(tuples):
            every = rows(query, check, tuples)
            while chunk := list(islice(every, CHUNK_SIZE)):
                yield chunk
                if not share.remaining():
                    raise TimeoutError
                limit_statement(self.connection, share)

    def _external_rows(self, check: Check, share: Budget) -> Iterator[list[Row]]:
        # Without a snapshot the tables are not compared yet.
        compare = self._checked_at is None
        every = confirmed_rows(check, self.database, share, self._guard, compare_tables=compare)
        while chunk := list(islice(every, CHUNK_SIZE)):
            yield chunk

    def _count_affected_files(self) -> None:
        if self._first_pass is not None:
            self._affected_files = len(self._files)
            return
        if any(outcome.error for outcome in self._outcomes.values()):
            return
        failing = [check for check, outcome in self._outcomes.items() if outcome.count]
        # A check's function runs once more here and may raise any exception.
        with suppress(Exception), transaction.atomic(using=self.database), reading_only(self.connection, {}):
            limit_statement(self.connection, self._budget)
            files = affected_files([query.using(self.database) for check in failing for query in check.queries()])
            self._affected_files = files.count() if files is not None else 0


class _ConnectionLostError(Exception):
    """The connection is gone, and the snapshot with it."""
