"""A scan: some checks over one snapshot of the database, of which none can stop another."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TypeAlias

from django.db import Error as DatabaseError
from django.db import connections, transaction

from consistency.budget import Budget
from consistency.findings import Row, affected, cells, outside_row, rows
from consistency.outside import confirmed
from consistency.reasons import NO_TIME, no_connection, reason
from consistency.registry import Check
from consistency.report import Outcome, Report, could_not_run
from consistency.transaction import begin, bounded, limit_statement, lost, only_reading

Progress: TypeAlias = Callable[[Check], None]
Answer: TypeAlias = Callable[[Check, Budget], tuple[int, list[Row]]]


def scan(
    checks: Sequence[Check],
    *,
    database: str = "default",
    limit: int = 100,
    timeout: float = 10.0,
    progress: Progress | None = None,
) -> Report:
    """Run the checks; at most `limit` rows of each, all within `timeout` seconds. Never writes, never raises for
    what PostgreSQL or a check does; `progress` is told each check before it runs.
    """
    with bounded(connections[database], timeout):
        return _Scan(checks, database, limit, timeout, progress or (lambda check: None)).run()


class _LostError(Exception):
    """The connection is gone, and its snapshot with it."""


class _Scan:
    def __init__(self, checks: Sequence[Check], database: str, limit: int, timeout: float, progress: Progress) -> None:
        self.checks = checks
        self.database = database
        self.connection = connections[database]
        self.limit = limit
        self.progress = progress
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
                here = query.using(self.database)
                limit_statement(self.connection, share)
                here_found = here.count()
                count += here_found
                if here_found and len(found) < self.limit:
                    limit_statement(self.connection, share)
                    found += rows(here, check, cells(here, check)[: self.limit - len(found)])
        return count, found

    def _outside(self, check: Check, share: Budget) -> tuple[int, list[Row]]:
        with only_reading(self.connection):
            findings = confirmed(check, self.database, share)
            found = [outside_row(finding) for finding in islice(findings, self.limit)]
            return len(found) + sum(1 for _ in findings), found

    def _count_affected(self) -> None:
        if any(outcome.error for outcome in self.outcomes.values()):
            return
        queries = [
            query.using(self.database)
            for check, outcome in self.outcomes.items()
            if outcome.count
            for query in check.queries()
        ]
        with suppress(DatabaseError), transaction.atomic(using=self.database):
            limit_statement(self.connection, self.budget)
            files = affected(queries)
            self.affected_files = files.count() if files is not None else 0
