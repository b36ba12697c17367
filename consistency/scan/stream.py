"""Every finding of some checks, piece by piece at constant memory, over one snapshot and a connection of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, TypeAlias

from django.db import Error as DatabaseError
from django.db import connections

from common.budget import Budget
from consistency.registry import Check, CheckError, Query
from consistency.scan.findings import Row, affected, cells, outside_row, rows
from consistency.scan.outside import confirmed
from consistency.scan.reasons import NO_TIME, no_connection, reason
from consistency.scan.report import Outcome, Report, could_not_run
from consistency.scan.sight import PIECE as PIECE
from consistency.scan.sight import Sight
from consistency.scan.slot import PATIENCE, Slot
from consistency.scan.sql import compiled, counting
from consistency.scan.transaction import begin, bounded, limit_statement, lost, only_reading

CLOSING: Final = 1.0
"""Seconds that PostgreSQL gets for what must be said after time is up."""
SLOT: Final = Slot()

Piece: TypeAlias = tuple[Check, list[Row]]
Counted: TypeAlias = tuple[int, list[Row]]


class Stream:
    """Iterate once for (check, rows) pieces, then ask for `report`; `close()` at any time ends the transaction.

    Opening it connects and takes the snapshot: BusyError if another stream runs in this process, OperationalError if
    PostgreSQL does not answer, which `in_any_case` is in the report instead, as is what goes wrong later. `limit` is
    rows per check, `timeout` seconds, `patience` those for which the server waits while whoever reads pauses.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        database: str = "default",
        limit: int | None = None,
        timeout: float = 300.0,
        patience: float = PATIENCE,
        sight: Sight | None = None,
        in_any_case: bool = False,
    ) -> None:
        self.checks = checks
        self.database = database
        self.limit = limit
        self.patience = patience
        self.budget = Budget(timeout)
        self.sight = sight or Sight()
        self.outcomes: dict[Check, Outcome] = {}
        self.affected_files: int | None = None
        self.unreachable: str | None = None
        # Its own connection: between two pieces the thread's may serve somebody else, or the thread be another.
        self.connection: Any = connections.create_connection(database)
        self.connection.inc_thread_sharing()
        SLOT.take(self)
        try:
            self.checked_at = self._attempt() if in_any_case else self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the transaction and let another stream begin."""
        self.connection.close()
        SLOT.release(self)

    @property
    def report(self) -> Report:
        """What it came to, without rows; a check that was not reached could not run."""
        return self.sight.report(
            Report(
                checked_at=self.checked_at,
                outcomes=[self.outcomes.get(check) or could_not_run(check, NO_TIME) for check in self.checks],
                affected_files=self.affected_files,
                unreachable=self.unreachable,
            )
        )

    def __iter__(self) -> Iterator[Piece]:
        try:
            inside = [check for check in self.checks if not check.outside]
            for position, check in enumerate(inside):
                if self.unreachable:
                    self.outcomes[check] = could_not_run(check, self.unreachable)
                else:
                    yield from self._pieces(check, self._inside, len(inside) - position)
            self._count_affected()
            self.connection.close()
            outside = [check for check in self.checks if check.outside]
            for position, check in enumerate(outside):
                yield from self._pieces(check, self._outside, len(outside) - position)
        finally:
            self.close()

    def _begin(self) -> datetime:
        self.connection.set_autocommit(False)
        return begin(self.connection, self.patience)

    def _attempt(self) -> datetime:
        """The time of the snapshot, or of the attempt."""
        now = datetime.now(UTC)
        try:
            return self._begin()
        except DatabaseError as error:
            self.unreachable = no_connection(error, self.budget)
            return now

    def _pieces(self, check: Check, ask: Callable[[Check, Budget], Iterator[Counted]], parts: int) -> Iterator[Piece]:
        share = self.budget.share(parts)
        count = given = 0
        try:
            self.sight.start(check)
            for counted, found in ask(check, share):
                count += counted
                given += len(found)
                if found:
                    yield from self._hand_over(check, found)
            outcome = Outcome(check=check, count=count, truncated=count > given, duration_ms=share.spent_ms())
        except Exception as error:
            words = reason(error, share, lost=not check.outside and lost(self.connection))
            outcome = could_not_run(check, words, share.spent_ms())
        self.outcomes[check] = outcome

    def _hand_over(self, check: Check, found: list[Row]) -> Iterator[Piece]:
        SLOT.wait(self)
        yield check, found
        if not SLOT.resume(self):
            raise CheckError("its client stopped reading")

    def _inside(self, check: Check, share: Budget) -> Iterator[Counted]:
        """Rows of one check, behind a savepoint that outlives any error."""
        with only_reading(connections[self.database]):
            queries = check.queries()
        with self._within(share):
            savepoint = self.connection.savepoint()
        try:
            left = self.limit
            for query in queries:
                for counted, found in self._query(query, check, left, share):
                    left = None if left is None else left - len(found)
                    yield counted, found
        except DatabaseError:
            with suppress(DatabaseError), bounded(self.connection, CLOSING):
                self.connection.savepoint_rollback(savepoint)
            raise

    def _query(self, query: Query, check: Check, limit: int | None, share: Budget) -> Iterator[Counted]:
        """Pieces of one query. Rows that are all fetched count themselves; else they are counted beforehand."""
        every = limit is None or self.sight.wants(check)
        if not every:
            yield self._count(query, share), []
        given = 0
        for tuples in self._fetch(cells(query, check)[: None if every else limit], share):
            kept = self.sight.sift(check, list(rows(query, check, tuples)))
            told = kept if limit is None else kept[: max(0, limit - given)]
            given += len(told)
            yield len(kept) if every else 0, told

    def _fetch(self, query: Query, share: Budget) -> Iterator[list[tuple[Any, ...]]]:
        if not (statement := compiled(query, self.connection)):
            return
        cursor = self.connection.chunked_cursor()
        try:
            with self._within(share):
                cursor.execute(*statement)
            while piece := self._next_piece(cursor, share):
                yield piece
        finally:
            with suppress(DatabaseError), bounded(self.connection, CLOSING):
                cursor.close()

    def _next_piece(self, cursor: Any, share: Budget) -> list[tuple[Any, ...]]:
        if not share.left():
            raise TimeoutError
        with self._within(share):
            piece: list[tuple[Any, ...]] = cursor.fetchmany(PIECE)
        return piece

    def _count(self, query: Query, share: Budget) -> int:
        if not (statement := counting(query, self.connection)):
            return 0
        with self._within(share), self.connection.cursor() as cursor:
            cursor.execute(*statement)
            count: int = cursor.fetchone()[0]
        return count

    def _outside(self, check: Check, share: Budget) -> Iterator[Counted]:
        with only_reading(connections[self.database]):
            found = confirmed(check, self.database, share)
            given = 0
            while piece := list(islice(found, PIECE)):
                kept = self.sight.sift(check, [outside_row(finding) for finding in piece])
                told = kept if self.limit is None else kept[: max(0, self.limit - given)]
                given += len(told)
                yield len(kept), told

    def _count_affected(self) -> None:
        if any(outcome.error for outcome in self.outcomes.values()):
            return
        found = [check for check, outcome in self.outcomes.items() if outcome.count]
        # Anything: a check that is asked for its rows once more may raise what it likes.
        with suppress(Exception), only_reading(connections[self.database]):
            files = affected([query for check in found for query in check.queries()])
            self.affected_files = 0 if files is None else self._count(files, self.budget)

    @contextmanager
    def _within(self, share: Budget) -> Iterator[None]:
        """Let the server end what takes longer than the share; should it not answer, end the connection a bit later."""
        with bounded(self.connection, share.left() + CLOSING):
            limit_statement(self.connection, share)
            yield
