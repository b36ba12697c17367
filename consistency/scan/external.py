"""Read an external check twice, because a disk has no snapshot: a file may follow the row within moments."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from time import sleep
from typing import Final, TypeAlias

from django.conf import settings
from django.db import OperationalError, transaction

from common.bounded import StuckError, within
from common.budget import Budget
from common.errors import no_answer
from common.postgres.connections import no_writes
from common.postgres.deadline import deadline
from consistency.registry import Check, CheckError, Finding
from consistency.scan.findings import Row
from consistency.scan.guards import Guard
from consistency.scan.snapshot import limit_statement, limit_transaction, reading_only

GRACE: Final = 0.3
"""Seconds from the deadline of PostgreSQL to the end of the budget. A thread that is stuck then waits for a disk."""

Reading: TypeAlias = tuple[list[Finding], int | None]
"""The findings and the number of examined objects."""


def confirmed_rows(
    check: Check, database: str, share: Budget, guard: Guard, *, compare_tables: bool = False
) -> Iterator[Row]:
    """Yield a report row for each finding that both readings of an external check return.

    CONSISTENCY_EXTERNAL_PAUSE is the time between the readings. Raises CheckError if too many objects are missing or a
    disk hangs, and TimeoutError after the budget.
    """
    share = Budget(share.remaining() - GRACE)
    read = partial(_read, check, database, share, guard, compare_tables)
    first, total = _read_in_thread(check, read, share)
    guard.compare_missing(check, len(first), total)
    if first:
        sleep(min(settings.CONSISTENCY_EXTERNAL_PAUSE, share.remaining() / 2))
        seen, (second, _) = set(first), _read_in_thread(check, read, share)
        yield from (_row(finding) for finding in second if finding in seen)


def _read_in_thread(check: Check, read: Callable[[], Reading], share: Budget) -> Reading:
    """Run `read` in a thread, and leave the thread behind if a disk or a name server hangs."""
    try:
        with deadline(share.remaining()):
            return within(share.remaining() + GRACE, f"check {check.name}", read)
    except StuckError as error:
        raise CheckError(f"a disk or the network gives {no_answer(error.waited)}") from error
    except OperationalError as error:
        if share.remaining():
            raise
        raise TimeoutError from error  # a slow disk may have used up the time of PostgreSQL


def _read(check: Check, database: str, share: Budget, guard: Guard, compare_tables: bool) -> Reading:
    """Read the check in a read-only transaction on connections of this thread.

    The generator of the check is closed in the transaction, so a `finally` of the generator cannot write. While a disk
    hangs, PostgreSQL ends the transaction after the budget.
    """
    with no_writes() as connections, transaction.atomic(using=database):
        connection = connections[database]
        limit_transaction(connection, share.remaining())
        if compare_tables:
            guard.compare_tables(connection, share.share(2))
        limit_statement(connection, share)
        findings: list[Finding] = []
        with reading_only(connection, guard.refused), closing(check.findings(database)) as generator:
            while share.remaining():
                try:
                    findings.append(next(generator))
                except StopIteration as stop:
                    return findings, stop.value
    raise TimeoutError


def _row(finding: Finding) -> Row:
    values = {"object_type": finding.object_type, "object_id": finding.object_id, "detail": finding.detail}
    # A file name may hold bytes that are no text, or NUL. PostgreSQL stores neither.
    return {
        key: value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0") for key, value in values.items()
    }
