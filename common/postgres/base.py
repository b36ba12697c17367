"""The DatabaseWrapper of ENGINE "common.postgres"."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from common.postgres import driver
from common.postgres.connection import DeadlineError
from common.postgres.deadline import outermost
from common.postgres.loaders import BoundedTimestampLoader, BoundedTimestamptzLoader
from common.postgres.parameters import FORMATS, RESET_LIMITS, SET_LIMITS, limits
from common.postgres.pool import pool_of

# Seconds per address without a deadline (migrations, shell). psycopg's default is 130.
CONNECT_TIMEOUT = 5
SET_FORMATS = "SELECT " + ", ".join(f"set_config('{name}', %s, false)" for name in FORMATS)
# Behind PgBouncer, libpq has another process number than the backend. Only Linux lets a backend check its client in
# every version of PostgreSQL.
SET_SESSION = f"""{SET_FORMATS}, CASE WHEN pg_backend_pid() = %s THEN concat(
    {{limits}}
    CASE WHEN version() ~ 'linux' THEN set_config('client_connection_check_interval', '1s', false) END
) END"""


def in_transaction(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement of a read-only connection in a transaction, because autocommit has no READ ONLY."""
    wrapper = context["connection"]
    if not wrapper.get_autocommit():
        return execute(sql, params, many, context)
    with wrapper.wrap_database_errors, wrapper.connection.transaction():
        return execute(sql, params, many, context)


class QuietClose:
    """Mixin: closing a cursor never raises DeadlineError, which would hide the error that ended the loop."""

    cursor: Any
    db: "DatabaseWrapper"

    def close(self) -> None:
        try:
            self.cursor.close()
        except DeadlineError:
            # The connection is closed now, so the second call sends nothing.
            self.cursor.close()
        finally:
            self.db.open_cursors.discard(self)
            self.db.release()


class Cursor(QuietClose, CursorWrapper):
    pass


class DebugCursor(QuietClose, base.CursorDebugWrapper):
    pass


AnyCursor = TypeVar("AnyCursor", Cursor, DebugCursor)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection to PostgreSQL, with deadlines and read-only connections.

    Inside `with deadline(10):` a query raises OperationalError after 10 seconds. The next query opens a new connection.
    With OPTIONS={"read_only": True} every transaction begins READ ONLY, also behind PgBouncer. A session setting would
    reach other clients of PgBouncer.

    With a pool (common/postgres/pool.py) the wrapper takes a connection for each transaction, and gives it back.
    """

    Database = driver

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open_cursors: set[QuietClose] = set()
        self.read_only: bool = self.settings_dict["OPTIONS"].get("read_only", False)
        if self.read_only:
            self.execute_wrappers.append(in_transaction)

    def get_connection_params(self) -> dict[str, Any]:
        """Return psycopg's parameters. Without a connect_timeout in the settings, add CONNECT_TIMEOUT."""
        params = {"connect_timeout": CONNECT_TIMEOUT} | super().get_connection_params()
        params.pop("read_only", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.limited_to = outermost()
        connection.adapters.register_loader("timestamp", BoundedTimestampLoader)
        connection.adapters.register_loader("timestamptz", BoundedTimestamptzLoader)
        if self.read_only:
            connection.read_only = True
        return connection

    def init_connection_state(self) -> None:
        """Set formats and timeouts for the session. PgBouncer keeps DateStyle and TimeZone for this client."""
        super().init_connection_state()
        connection = self.connection
        timeouts = [] if connection.limited_to is None else limits(connection.limited_to)
        query = SET_SESSION.format(limits=f"{SET_LIMITS}, " if timeouts else "")
        with self.wrap_database_errors:
            row = connection.execute(query, [*FORMATS.values(), connection.info.backend_pid, *timeouts]).fetchone()
        connection.shares_session = row[-1] is None

    def connect(self) -> None:
        """Take a connection from the pool, or open a new connection."""
        if (pool := pool_of(self.settings_dict)) is None:
            super().connect()
            return
        connection = pool.take()
        try:
            if connection is None:
                super().connect()
            else:
                self._adopt(connection)
        except BaseException:
            # A session that is only half set up serves nobody.
            pool.give(None)
            if self.connection is not None:
                self.connection.close()
                self.connection = None
            raise
        self.connection.pool = pool

    def _adopt(self, connection: Any) -> None:
        self.connection, self.autocommit = connection, True
        connection.read_only = self.read_only or None
        if not connection.autocommit:
            connection.autocommit = True
        # As in Django's connect(), which would send the signal of a new connection.
        self.in_atomic_block = self.needs_rollback = self.closed_in_transaction = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []

    def release(self) -> None:
        """Give the connection back to its pool, unless a transaction or a cursor needs the connection."""
        if self.connection is None or self.connection.pool is None:
            return
        if self.autocommit and not self.in_atomic_block and not self.open_cursors:
            self._close()
            self.connection = None

    def _close(self) -> None:
        self.open_cursors.clear()
        if self.connection is None:
            return
        pool, self.connection.pool = self.connection.pool, None
        if pool is not None:
            # After an error, such as a locked table, an idle backend would stand beside those of the next clients.
            pool.give(self.connection, keep=not self.errors_occurred)
        else:
            with self.wrap_database_errors:
                self.connection.close()

    def close_if_unusable_or_obsolete(self) -> None:
        """At the end of a request, also give back a connection that an unclosed cursor has kept."""
        if self.connection is not None and self.connection.pool is not None:
            self.close()
        super().close_if_unusable_or_obsolete()

    def ensure_connection(self) -> None:
        """Replace a broken connection at the next query. Django does so at the next request, and probes have none.

        Inside a transaction the connection stays broken: a new connection would lose the first half.
        """
        if self.autocommit and self.connection is not None and self.connection.broken:
            self.close()
        super().ensure_connection()
        if self.connection.limited_to != outermost() and self.autocommit and not self.in_atomic_block:
            self._limit(outermost())

    def _limit(self, seconds: float | None) -> None:
        """Set the timeouts of the session for the deadline of another caller."""
        if not self.connection.shares_session:
            with self.wrap_database_errors:
                if seconds is None:
                    self.connection.execute(RESET_LIMITS)
                else:
                    self.connection.execute(f"SELECT {SET_LIMITS}", limits(seconds))
        self.connection.limited_to = seconds

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Set autocommit. The end of atomic() does not wait for a new connection; the next query opens one."""
        if autocommit and self.connection is None and self.settings_dict["AUTOCOMMIT"]:
            self.autocommit = True
        else:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
            self.release()

    def make_cursor(self, cursor: Any) -> Cursor:
        return self._opened(Cursor(cursor, self))

    def make_debug_cursor(self, cursor: Any) -> DebugCursor:
        return self._opened(DebugCursor(cursor, self))

    def _opened(self, cursor: AnyCursor) -> AnyCursor:
        if self.connection.pool is not None:
            self.open_cursors.add(cursor)
        return cursor
