"""Connections that the threads of a process share: few, each taken for one transaction, closed when idle."""

import os
import select
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic, sleep
from typing import Any, Final

from psycopg.pq import TransactionStatus

from common.postgres.connection import Connection, DeadlineError
from common.postgres.deadline import waiting

IDLE_TIMEOUT: Final = 30.0
# Seconds to wait for a place without a deadline, in background work.
WAIT_TIMEOUT: Final = 30.0
REQUESTS: Final = "requests"
PROBES: Final = "probes"
POSTGRES_PROBE: Final = "postgres probe"
# Connections of this process per database. Without an entry a wrapper has a connection of its own.
sizes: Final = {PROBES: 1, POSTGRES_PROBE: 1}

_group: ContextVar[str] = ContextVar("connection_group", default=REQUESTS)
_pools: Final[dict[tuple[str, str], "Pool"]] = {}
# A child must not use the sockets of its parent.
os.register_at_fork(after_in_child=_pools.clear)


class TooManyRequestsError(Exception):
    """Every connection of this process is in use. No error of the database: PostgreSQL may be well."""

    def __init__(self) -> None:
        super().__init__("too many requests wait")


class Pool:
    """At most `size` connections to one database, counted from before the connect to after the close."""

    def __init__(self, size: int, error: type[Exception]) -> None:
        self._places = BoundedSemaphore(size)
        self._error = error
        self._idle: deque[tuple[float, Connection]] = deque()
        self._lock = Lock()
        self._reaping = False

    def take(self) -> Connection | None:
        """Wait for a place. Return the connection that was used last, or None if the caller has to connect."""
        if not self._places.acquire(blocking=False):
            # The time that PostgreSQL has for a look-up begins afterwards. Half of the request is left for the work.
            with waiting() as seconds:
                if not self._places.acquire(timeout=WAIT_TIMEOUT if seconds is None else seconds / 2):
                    raise self._error
        while connection := self._pop():
            if not connection.closed and not _is_readable(connection):
                return connection
            connection.close()
        return None

    def give(self, connection: Connection | None, *, keep: bool = True) -> None:
        """Free the place. With `keep`, save the connection for the next caller, unless it is broken or busy."""
        try:
            self._keep_or_close(connection, keep=keep)
        finally:
            self._places.release()

    def _keep_or_close(self, connection: Connection | None, *, keep: bool) -> None:
        if connection and keep and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            with self._lock:
                self._idle.append((monotonic(), connection))
                if not self._reaping:
                    Thread(target=self._reap, name="idle connections", daemon=True).start()
                    self._reaping = True
        elif connection:
            connection.close()

    def close_idle(self, older_than: float = 0.0) -> None:
        """Close the connections that were not used for so many seconds."""
        with self._lock:
            while self._idle and self._idle[0][0] <= monotonic() - older_than:
                self._idle.popleft()[1].close()

    def _reap(self) -> None:
        while True:
            sleep(IDLE_TIMEOUT / 10)
            self.close_idle(IDLE_TIMEOUT)
            with self._lock:
                if not self._idle:
                    self._reaping = False
                    return

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop()[1] if self._idle else None


def _is_readable(connection: Connection) -> bool:
    """Return whether the server has ended the session: an idle server sends its last words, or closes the socket."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def using(group: str) -> Iterator[None]:
    """Let the block take its connections from the pools of this group."""
    token = _group.set(group)
    try:
        yield
    finally:
        _group.reset(token)


@contextmanager
def unlimited(group: str) -> Iterator[None]:
    """Let each wrapper of the group have a connection of its own inside the block, in every thread."""
    size = sizes.pop(group)
    try:
        yield
    finally:
        sizes[group] = size


def pool_of(settings: Mapping[str, Any]) -> Pool | None:
    """Return the pool of the current group for a database; None without a limit."""
    group = _group.get()
    if (size := sizes.get(group)) is None:
        return None
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "read_only"}
    key = (group, str([settings["HOST"], settings["PORT"], settings["NAME"], settings["USER"], options]))
    error = TooManyRequestsError if group == REQUESTS else DeadlineError
    return _pools.get(key) or _pools.setdefault(key, Pool(size, error))


def close_idle(group: str) -> None:
    """Close the idle connections of a group."""
    for (owner, _), pool in list(_pools.items()):
        if owner == group:
            pool.close_idle()
