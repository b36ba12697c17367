"""Open connections beside the thread's own, and let the ORM use them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from common.postgres.base import DatabaseWrapper


def new_connection(alias: str, *, read_only: bool = False) -> DatabaseWrapper:
    """Return an unopened connection to the database `alias`; any thread may use it, one at a time.

    With `read_only` every transaction begins READ ONLY, also through PgBouncer, where a session setting would reach
    other clients.
    """
    settings = connections.settings[alias]
    options = settings["OPTIONS"] | {"read_only": read_only}
    connection = DatabaseWrapper({**settings, "OPTIONS": options}, alias)
    connection.inc_thread_sharing()
    return connection


@contextmanager
def use_connection(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the ORM of this thread use `connection` for its alias inside the block."""
    own: Any = connections[connection.alias]
    connections[connection.alias] = connection
    try:
        yield
    finally:
        connections[connection.alias] = own
