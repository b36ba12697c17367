"""A psycopg connection whose every wait ends at the caller's deadline."""

from typing import Any, Self, TypeVar

import psycopg
from django.db import OperationalError
from psycopg.abc import PQGen, PQGenConn
from psycopg.errors import _WaitTimeout

from common.postgres.deadline import remaining

RV = TypeVar("RV")


class DeadlineError(psycopg.OperationalError, OperationalError):
    """PostgreSQL did not answer before the caller's deadline; the connection is gone.

    Django translates no error of a cursor's copy(), so this one is Django's OperationalError as well.
    """

    def __init__(self, *args: Any, pgconn: Any = None) -> None:
        # psycopg makes a second one, with a text that lists every host it tried: the text is ours to choose.
        super().__init__("PostgreSQL did not answer before the deadline", pgconn=pgconn)


def _left() -> float | None:
    """Seconds left, None without a deadline; raise DeadlineError once it is past."""
    if (left := remaining()) == 0:
        raise DeadlineError
    return left


class Connection(psycopg.Connection[Any]):
    """A connection whose query, fetch, commit, rollback, COPY and cancellation end at the caller's deadline."""

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Connect as psycopg does; a deadline already past fails before the host's name is looked up."""
        _left()
        return super().connect(*args, **kwargs)

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        """One attempt, for one address: psycopg resumes it at least every 0.1 s, which is when it may give up."""
        _left()
        attempt = super()._connect_gen(conninfo)
        try:
            wanted = next(attempt)
            while True:
                ready = yield wanted
                _left()
                wanted = attempt.send(ready)
        except StopIteration as done:
            connection: Self = done.value
            return connection

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait as psycopg does, until its own timeout or the deadline; past the latter the connection is finished."""
        try:
            left = _left()
            if left is None or (timeout is not None and timeout < left):
                return super().wait(gen, interval, timeout)
            return self._wait_at_most(left, gen, interval)
        except DeadlineError:
            # Half an answer may be on its way: nothing can be asked on this socket any more. Finishing never blocks.
            self.pgconn.finish()
            raise

    def _wait_at_most(self, left: float, gen: PQGen[RV], interval: float) -> RV:
        try:
            return super().wait(gen, interval, left)
        except _WaitTimeout:
            raise DeadlineError from None

    def set_autocommit(self, value: bool) -> None:
        """Set it, past the deadline too: nothing is sent, and a COMMIT that came in time must not end as a failure."""
        with self.lock:
            super().wait(self._set_autocommit_gen(value))

    def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Cancel as psycopg does, but no longer than the deadline: leaving a COPY half-way cancels outside `wait`."""
        # Zero is psycopg's word for no limit.
        if (left := _left()) is not None:
            timeout = min(timeout or left, left)
        super().cancel_safe(timeout=timeout)
