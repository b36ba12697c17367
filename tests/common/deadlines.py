"""What the tests of the deadline engine share: a server that stops, and how soon a wait must have ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from django.db import OperationalError

from common.postgres.base import DatabaseWrapper
from config.demo.servers import Server

ALIAS = "private"
SHORT = 0.3
# A busy machine may be late, but a wait that nothing ends lasts until the server is thawed, which is twice as long.
GENEROUS, THAW = 5, 10


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Freeze the server with all its backends, as a machine that hangs would; a wait that nothing ends fails later."""
    server.pause()
    thaw = threading.Timer(THAW, server.resume)
    thaw.start()
    try:
        yield
    finally:
        thaw.cancel()
        server.resume()


@contextmanager
def soon() -> Iterator[None]:
    started = monotonic()
    yield
    assert monotonic() - started < GENEROUS


@contextmanager
def ended_by_the_deadline() -> Iterator[None]:
    with soon(), pytest.raises(OperationalError, match="did not answer before the deadline"):
        yield


def ask(connection: DatabaseWrapper, sql: str = "SELECT 1") -> Any:
    """The first value of the answer, None for a statement that has none."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None
