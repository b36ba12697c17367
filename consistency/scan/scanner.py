"""A scan: some checks over one snapshot of the database, of which none can stop another."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TypeAlias

from django.db import Error as DatabaseError
from django.db import connections, transaction

from common.budget import Budget
from consistency.registry import Check, Query
from consistency.scan.findings import Row, affected, cells, outside_row, rows
from consistency.scan.outside import confirmed
from consistency.scan.reasons import NO_TIME, no_connection, reason
from consistency.scan.report import Outcome, Report, could_not_run
from consistency.scan.sight import PIECE, Sight
from consistency.scan.transaction import begin, bounded, limit_statement, lost, only_reading

Progress: TypeAlias = Callable[[Check], None]
Answer: TypeAlias = Callable[[Check, Budget], tuple[int, list[Row]]]


def scan(
    checks: Sequence[Check],
    *,
    database: str = "default",
    limit: int = 100,
    timeout: float = 10.0,
    progress: Progress | None = None,
    sight: Sight | None = None,
) -> Report:
    """Run the checks; at most `limit` rows of each, all within `timeout` seconds. Never writes, never raises for
    what PostgreSQL or a check does; `progress` is told each check before it runs, `sight` sees what it wants to.
    """
    sight = sight or Sight()
    with bounded(connections[database], timeout):
        return sight.report(_Scan(checks, database, limit, timeout, progress or (lambda check: None), sight).run())


class _LostError(Exception):
    """The connection is gone, and its snapshot with it."""


class _Scan:
    def __init__(
        self, checks: Sequence[Check], database: str, limit: int, timeout: float, progress: Progress, sight: Sight
    ) -> None:
        self.checks = checks
        self.database = database
        self.connection = connections[database]
        self.limit = limit
        self.progress = progress
        self.sight = sight
        # The server must end a statement before our own deadline ends the connection, and the snapshot with it.
        self.budget = Budget(timeout - min(0.5, timeout / 10))
        self.checked_at = datetime.now(UTC)
        self.unreachable: str | None = None
        self.affected_files: int | None = None
        self.outcomes: dict[Check, Outcome] = {}

    def run(self) -> Report:
        inside = [check for check in self.checks if not check.outside]
        while waiting := [check for check in inside if check not in self.outcomes]:
            self._in_snapshot(waiting)
        outside = [check for check in self.checks if check.outside]
        for position, check in enumerate(outside):
            self._ask(check, self._outside, len(outside) - position)
        return Report(
            checked_at=self.checked_at,
            outcomes=[self.outcomes[check] for check in self.checks],
            affected_files=self.affected_files if inside else 0,
            unreachable=self.unreachable,
        )

    def _in_snapshot(self, waiting: Sequence[Check]) -> None:
        try:
            with transaction.atomic(using=self.database, durable=True):
                self.checked_at = begin(self.connection, self.budget.seconds)
                for position, check in enumerate(waiting):
                    self._ask(check, self._inside, len(waiting) - position)
                    if lost(self.connection):
                        raise _LostError
                self._count_affected()
        except _LostError:
            self._start_again(waiting)
        except DatabaseError as error:
            self._give_up(waiting, error)

    def _start_again(self, waiting: Sequence[Check]) -> None:
        """Leave out the check that lost the connection, and ask the others in a new snapshot, while there is time."""
        if self.budget.left():
            *whole, _culprit = [check for check in waiting if check in self.outcomes]
            for check in whole:
                del self.outcomes[check]
        for check in waiting if not self.budget.left() else ():
            self.outcomes.setdefault(check, could_not_run(check, NO_TIME))

    def _give_up(self, waiting: Sequence[Check], error: DatabaseError) -> None:
        """Report what there is no snapshot for. A transaction that fails only at its end has given all its answers."""
        if missing := [check for check in waiting if check not in self.outcomes]:
            self.unreachable = no_connection(error, self.budget)
            for check in missing:
                self.outcomes[check] = could_not_run(check, self.unreachable)

    def _ask(self, check: Check, ask: Answer, parts: int) -> None:
        self.progress(check)
        share = self.budget.share(parts)
        try:
            self.sight.start(check)
            count, found = ask(check, share)
            outcome = Outcome(
                check=check, count=count, rows=found, truncated=count > len(found), duration_ms=share.spent_ms()
            )
        except Exception as error:
            words = reason(error, share, lost=not check.outside and lost(self.connection))
            outcome = could_not_run(check, words, share.spent_ms())
        self.outcomes[check] = outcome

    def _inside(self, check: Check, share: Budget) -> tuple[int, list[Row]]:
        """Count what breaks the check and fetch the first rows, behind a savepoint that outlives any error."""
        count, found = 0, list[Row]()
        with transaction.atomic(using=self.database), only_reading(self.connection):
            limit_statement(self.connection, share)
            for query in check.queries():
                ask = self._every if self.sight.wants(check) else self._first
                counted, told = ask(check, query.using(self.database), share, self.limit - len(found))
                count += counted
                found += told
        return count, found

    def _first(self, check: Check, query: Query, share: Budget, limit: int) -> tuple[int, list[Row]]:
        """The number of rows, and the first ones."""
        limit_statement(self.connection, share)
        count = query.count()
        if not count or limit < 1:
            return count, []
        limit_statement(self.connection, share)
        return count, list(rows(query, check, cells(query, check)[:limit]))

    def _every(self, check: Check, query: Query, share: Budget, limit: int) -> tuple[int, list[Row]]:
        """The same, showing each row to who wants to see it: then the rows count themselves."""
        count, found = 0, list[Row]()
        limit_statement(self.connection, share)
        seen = rows(query, check, cells(query, check).iterator(chunk_size=PIECE))
        while piece := list(islice(seen, PIECE)):
            kept = self.sight.sift(check, piece)
            count += len(kept)
            found += self._some(check, kept, limit - len(found))
            limit_statement(self.connection, share)
        return count, found

    def _some(self, check: Check, kept: list[Row], room: int) -> list[Row]:
        return self.sight.shown(check, kept)[:room] if room > 0 else []

    def _outside(self, check: Check, share: Budget) -> tuple[int, list[Row]]:
        count, found = 0, list[Row]()
        with only_reading(self.connection):
            findings = confirmed(check, self.database, share)
            while piece := list(islice(findings, PIECE)):
                kept = self.sight.sift(check, [outside_row(finding) for finding in piece])
                count += len(kept)
                found += self._some(check, kept, self.limit - len(found))
        return count, found

    def _count_affected(self) -> None:
        if any(outcome.error for outcome in self.outcomes.values()):
            return
        found = [check for check, outcome in self.outcomes.items() if outcome.count]
        # Anything: a check that is asked for its rows once more may raise what it likes.
        with suppress(Exception), transaction.atomic(using=self.database), only_reading(self.connection):
            limit_statement(self.connection, self.budget)
            files = affected([query.using(self.database) for check in found for query in check.queries()])
            self.affected_files = files.count() if files is not None else 0
