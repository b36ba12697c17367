"""What Django loads for ENGINE "common.postgres": its own PostgreSQL engine over a psycopg that keeps deadlines."""

from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from common.postgres import driver
from common.postgres.connection import DeadlineError
from common.postgres.deadline import deadline

# Seconds for one address where no deadline is set (migrations, shell); psycopg itself would wait 130.
CONNECT_TIMEOUT = 5


def in_transaction(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement of a read-only connection in a transaction, because autocommit has no READ ONLY."""
    wrapper = context["connection"]
    if not wrapper.get_autocommit():
        return execute(sql, params, many, context)
    with wrapper.wrap_database_errors, wrapper.connection.transaction():
        return execute(sql, params, many, context)


class QuietClose:
    """Closing a cursor never fails at the deadline: what reads rows is often left by an error, or by the garbage."""

    cursor: Any

    def close(self) -> None:
        """Close it; past the deadline its connection is gone, and the second call asks nothing."""
        try:
            self.cursor.close()
        except DeadlineError:
            self.cursor.close()


class Cursor(QuietClose, CursorWrapper):
    pass


class DebugCursor(QuietClose, base.CursorDebugWrapper):
    pass


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection to PostgreSQL, with deadlines and read-only connections.

    Inside `with deadline(10):` a query raises OperationalError after 10 seconds. The next query opens a new connection.
    With OPTIONS={"read_only": True} every transaction begins READ ONLY, also behind PgBouncer. A session setting would
    reach other clients of the pool.
    """

    Database = driver
    deadline = staticmethod(deadline)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read_only: bool = self.settings_dict["OPTIONS"].get("read_only", False)
        if self.read_only:
            self.execute_wrappers.append(in_transaction)

    def get_connection_params(self) -> dict[str, Any]:
        """Return psycopg's parameters, with a limit on connecting where the settings name none."""
        params = {"connect_timeout": CONNECT_TIMEOUT} | super().get_connection_params()
        params.pop("read_only", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        if self.read_only:
            connection.read_only = True
        return connection

    def ensure_connection(self) -> None:
        """Replace a broken connection at the next query, not at the next request: probes' threads have no requests.

        Never within a transaction, whose first half would be lost in silence.
        """
        if self.autocommit and self.connection is not None and self.connection.broken:
            self.close()
        super().ensure_connection()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Set it; but leaving atomic() without a connection must not wait for a new one, which the next query opens."""
        if autocommit and self.connection is None and self.settings_dict["AUTOCOMMIT"]:
            self.autocommit = True
        else:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)

    def make_cursor(self, cursor: Any) -> Cursor:
        return Cursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> DebugCursor:
        return DebugCursor(cursor, self)
