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
def no_writes() -> Iterator[dict[str, DatabaseWrapper]]:
    """Let the ORM of this thread use read-only connections to every database inside the block."""
    by_alias = read_only_connections()
    try:
        with use_connections(*by_alias.values()):
            yield by_alias
    finally:
        for connection in by_alias.values():
            connection.close()


def read_only_connections() -> dict[str, DatabaseWrapper]:
    """Return an unopened read-only connection per database, by alias."""
    return {alias: new_connection(alias, read_only=True) for alias in connections}


@contextmanager
def use_connections(*replacements: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the ORM of this thread use these connections, each for its alias, inside the block."""
    own: Any = {connection.alias: connections[connection.alias] for connection in replacements}
    for connection in replacements:
        connections[connection.alias] = connection
    try:
        yield
    finally:
        for alias, connection in own.items():
            connections[alias] = connection
