"""The memory while one scan records: a transaction that holds the lock from before its snapshot to its last row."""

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

import psycopg
from django.db import Error as DatabaseError
from django.db import connections
from psycopg import errors

from common.budget import Budget
from consistency.history import sql
from consistency.history.news import EndedMute, News, RecordedScan
from consistency.history.silence import MEMORY
from consistency.history.spool import Spool
from consistency.history.turns import take_turn_to_record
from consistency.registry import Check
from consistency.scan.report import Outcome, Report
from consistency.scan.transaction import WITHOUT_TRANSACTION_TIMEOUT, bounded

logger = logging.getLogger(__name__)

LOCK: Final = 0x636F6E73
"""The first half of our advisory locks; the second stands for the database that is scanned."""
CONNECT_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 120.0
LOCK_TIMEOUT: Final = "5s"

REASONS: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (errors.UndefinedTable, f"Continuity's tables are not in database {MEMORY!r}. Run manage.py migrate"),
    (errors.UndefinedColumn, f"Continuity's tables in database {MEMORY!r} are older. Run manage.py migrate"),
    (
        errors.InsufficientPrivilege,
        f"no permission to write Continuity's tables, or temporary ones, in database {MEMORY!r}",
    ),
    (errors.ReadOnlySqlTransaction, f"database {MEMORY!r} is read-only for this role"),
    (errors.LockNotAvailable, "another session holds Continuity's tables locked. Try again"),
    (errors.DeadlockDetected, "another session changed the same anomalies at that moment. Try again"),
    (errors.UniqueViolation, "somebody else did the same at that moment. Look, and try again"),
    (errors.ProgramLimitExceeded, "an identifier is longer than PostgreSQL can index (some 2,700 bytes)"),
    (errors.DiskFull, f"the disk of database {MEMORY!r} is full"),
    (errors.QueryCanceled, f"database {MEMORY!r} took too long"),
    (errors.AdminShutdown, f"the connection to database {MEMORY!r} was lost. Try again"),
    (errors.TransactionTimeout, f"database {MEMORY!r} has a transaction_timeout that is too short"),
    (errors.IdleInTransactionSessionTimeout, f"the connection to database {MEMORY!r} was lost. Try again"),
)


class AlreadyRunningError(Exception):
    """Another scan of this database came first: exit code 3, HTTP 409."""


class OlderSnapshotError(AlreadyRunningError):
    """What another scan saw later is recorded already: an overlap that only shows at the end."""


class RecordingError(Exception):
    """Why nothing was recorded, in words fit for stderr; no host, path or SQL."""


class Memory:
    """Open it before the scan, `write` after it, `close` in any case. Opening raises AlreadyRunningError if another
    scan of this database records, RecordingError if the memory cannot be had.

    Its own connection, so that the scan may use the thread's; between two statements it holds no snapshot, and so
    keeps VACUUM from nothing. A killed process loses the connection: lock and rows are gone together.
    """

    def __init__(self, database: str, *, trigger: str, actor: str, seconds: float) -> None:
        self.database, self.trigger, self.actor = database, trigger, actor
        self.spent = Budget(seconds)
        self.connection: Any = connections.create_connection(MEMORY)
        self.connection.inc_thread_sharing()
        try:
            with bounded(self.connection, CONNECT_SECONDS):
                self._begin(seconds)
        except DatabaseError as error:
            self.close()
            raise RecordingError(recording_problem(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock, and undo what was not written to the end."""
        self.connection.close()

    def write(self, report: Report, spool: Spool, unsure: Spool, *, keep: bool = True) -> RecordedScan:
        """Record the whole scan or, with RecordingError, nothing of it; not `keep`: only find out what would be.
        `unsure` has what either of two looks saw: none of that is resolved.

        OlderSnapshotError, recording nothing either, if a scan with a later snapshot is recorded already.
        """
        try:
            with bounded(self.connection, WRITE_SECONDS), self.connection.cursor() as cursor:
                recorded = _Writing(self, cursor, report, spool, unsure).run()
                self.connection.commit() if keep else self.connection.rollback()
        except DatabaseError as error:
            raise RecordingError(recording_problem(error)) from error
        return recorded

    def _begin(self, seconds: float) -> None:
        self.connection.set_autocommit(False)
        idle = f"{int(seconds + WRITE_SECONDS)}s"
        # Of a table that was empty when last analyzed, a nested loop may be planned: each row would read all.
        with self.connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
                ", set_config('idle_in_transaction_session_timeout', %s, true)"
                f", set_config('enable_nestloop', 'off', true), {WITHOUT_TRANSACTION_TIMEOUT}"
                ", pg_try_advisory_xact_lock(%s, %s)",
                [LOCK_TIMEOUT, f"{int(WRITE_SECONDS)}s", idle, LOCK, _signed(crc32(self.database.encode()))],
            )
            if not cursor.fetchone()[-1]:
                raise AlreadyRunningError(
                    f"another scan of database {self.database!r} is under way: try again when it is done."
                )


class _Writing:
    """One scan on its way into the tables."""

    def __init__(self, memory: Memory, cursor: Any, report: Report, spool: Spool, unsure: Spool) -> None:
        self.memory, self.cursor, self.report, self.spool, self.unsure = memory, cursor, report, spool, unsure
        self.now = datetime.now(UTC)
        self.snapshot_at = _snapshot(report)
        self.completed = [outcome for outcome in report.outcomes if outcome.error is None]
        self.counts: dict[str, Counter[str]] = {outcome.check.name: Counter() for outcome in report.outcomes}

    def run(self) -> RecordedScan:
        take_turn_to_record(self.cursor)
        self._refuse_older()
        number = self._scan()
        self._anomalies(number)
        news = {name: News(**counts) for name, counts in self.counts.items()}
        total: Counter[str] = sum(self.counts.values(), Counter())
        self._checks(number, news)
        ended = [ended for outcome in self.completed for ended in self._mutes(outcome)]
        whole = News(**total)
        self.cursor.execute(
            "UPDATE consistency_scan SET new = %s, returned = %s, resolved = %s, ongoing = %s WHERE id = %s",
            [whole.new, whole.returned, whole.resolved, whole.ongoing, number],
        )
        return RecordedScan(id=number, news=whole, by_check=news, mutes_ended=ended)

    def _refuse_older(self) -> None:
        self.cursor.execute(sql.LAST_SNAPSHOT, [self.memory.database])
        (last,) = self.cursor.fetchone()
        if last and self.snapshot_at and self.snapshot_at < last:
            raise OlderSnapshotError(
                f"another scan of database {self.memory.database!r} with a later snapshot, of {_time(last)}, is"
                f" recorded already; this one is of {_time(self.snapshot_at)}: scan again. Should it stay so, was the"
                " server's clock set back, or is a replica behind?"
            )

    def _scan(self) -> int:
        told = {
            "database": self.memory.database,
            "recorded_at": self.now,
            "snapshot_at": self.snapshot_at,
            "trigger": self.memory.trigger,
            "actor": self.memory.actor,
            "complete": self.report.complete,
            "status": self.report.status,
            "duration_ms": self.memory.spent.spent_ms(),
            "affected_files": self.report.affected_files,
        }
        # The totals are known at the end.
        self.cursor.execute(
            f"INSERT INTO consistency_scan ({', '.join(told)}, new, returned, resolved, ongoing)"  # noqa: S608 - ours
            f" VALUES ({', '.join(['%s'] * len(told))}, 0, 0, 0, 0) RETURNING id",
            list(told.values()),
        )
        number: int = self.cursor.fetchone()[0]
        return number

    def _anomalies(self, number: int) -> None:
        doubted = [outcome.check for outcome in self.completed if outcome.doubted]
        about = {
            "database": self.memory.database,
            "at": self.report.checked_at,
            "now": self.now,
            "scan": number,
            "checks": [outcome.check.name for outcome in self.completed],
            "muted": [outcome.check.name for outcome in self.completed if outcome.mute],
            "doubted": [check.name for check in doubted],
        }
        if found := [outcome.check for outcome in self.completed if outcome.count]:
            self._copy(sql.FINDINGS, self.spool, found)
            self._count(sql.SEEN, about)
        if doubted:
            self._copy(sql.UNSURE, self.unsure, doubted)
            self._count(sql.RESOLVED_FOR_SURE, about)
            self._count(sql.LEFT, about)
        else:
            self._count(sql.RESOLVED, about)

    def _copy(self, table: str, spool: Spool, checks: list[Check]) -> None:
        self.cursor.execute(sql.TABLE.format(table))
        with self.cursor.copy(sql.COPY.format(table)) as copy:
            for check in checks:
                for block in spool.blocks(check):
                    copy.write(block)

    def _count(self, statement: str, about: dict[str, Any]) -> None:
        self.cursor.execute(statement, about)
        for name, word, count in self.cursor.fetchall():
            self.counts[name][word] = count

    def _checks(self, number: int, news: dict[str, News]) -> None:
        named = {"scan_id": number, "database": self.memory.database}
        rows = [named | _row(outcome, news[outcome.check.name]) for outcome in self.report.outcomes]
        names = list(rows[0]) if rows else []
        self.cursor.executemany(
            f"INSERT INTO consistency_scancheck ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})",  # noqa: S608
            [list(row.values()) for row in rows],
        )

    def _mutes(self, outcome: Outcome) -> list[EndedMute]:
        """End the mute of this check or lower its mark; returns it if it ended."""
        name, count = outcome.check.name, outcome.count or 0
        about = {"database": self.memory.database, "check": name, "count": count, "now": self.now}
        about["doubted"] = outcome.doubted
        self.cursor.execute(sql.MUTES_OVER, about)
        over = self.cursor.fetchall()
        self.cursor.execute(sql.MUTES_LOWER, about)
        columns = ("by", "reason", "because", "mark")
        return [EndedMute(check=name, count=count, **dict(zip(columns, row, strict=True))) for row in over]


def _row(outcome: Outcome, news: News) -> dict[str, Any]:
    ran = "found" if outcome.count or outcome.doubted else "clean"
    return {
        "check_name": outcome.check.name,
        "severity": outcome.check.severity.value,
        "outcome": "could_not_run" if outcome.error else ran,
        "count": outcome.count,
        "acknowledged": outcome.acknowledged,
        "muted": outcome.muted,
        "duration_ms": outcome.duration_ms,
        "error": outcome.error or "",
        "doubted": outcome.doubted,
        "new": news.new,
        "returned": news.returned,
        "resolved": news.resolved,
        "ongoing": news.ongoing,
    }


def _snapshot(report: Report) -> datetime | None:
    """The database's time of the report; one that asked no database has only ours, which may be ahead of it."""
    asked = any(not outcome.check.outside for outcome in report.outcomes)
    return report.checked_at if asked and not report.unreachable else None


def _time(moment: datetime) -> str:
    # To the part of a second: two scans that overlap are rarely further apart.
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def recording_problem(error: DatabaseError) -> str:
    """Why the memory could not be had, in words fit for outside."""
    cause = error.__cause__
    for kind, words in REASONS:
        if isinstance(cause, kind):
            return words
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        logger.error("Recording failed", exc_info=error)
        return "PostgreSQL refused it"
    return f"database {MEMORY!r} does not answer"
