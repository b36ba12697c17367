"""Helpers of the deadline tests: a frozen server, and limits on waits."""

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
# GENEROUS allows for a busy machine. A wait without a deadline lasts until THAW.
GENEROUS, THAW = 5, 10


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Freeze the server for the block, at most THAW seconds."""
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
    """Return the first value of the result; None without a result."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None
