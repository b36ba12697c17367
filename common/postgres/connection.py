"""A psycopg connection with deadlines."""

from contextlib import suppress
from typing import Any, Final, Self, TypeVar

import psycopg
from django.db import OperationalError
from psycopg.abc import PQGen, PQGenConn
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus

from common.postgres.deadline import remaining
from common.postgres.names import resolved

# Seconds after the deadline for the request to cancel. PostgreSQL needs milliseconds, or does not answer.
CANCEL_TIMEOUT: Final = 0.1
# The server sends garbage, or PgBouncer knows no such database.
NO_POSTGRESQL: Final = (psycopg.DatabaseError, psycopg.InternalError, psycopg.errors.InvalidCatalogName)
RV = TypeVar("RV")


class DeadlineError(psycopg.OperationalError, OperationalError):
    """PostgreSQL did not answer before the deadline. The connection is closed.

    The class is Django's OperationalError too, because Django translates no error of a cursor's copy().
    """

    def __init__(self, *args: Any, pgconn: Any = None) -> None:
        # psycopg re-raises the error with a text that lists every host. The text here names no host.
        super().__init__("PostgreSQL did not answer before the deadline", pgconn=pgconn)


def _remaining() -> float | None:
    seconds = remaining()
    if seconds == 0:
        raise DeadlineError
    return seconds


class Connection(psycopg.Connection[Any]):
    """A connection whose connect, query, fetch, commit, rollback, COPY and cancel end at the deadline."""

    pool: Any = None
    """The Pool that gets the connection back."""
    limited_to: float | None = None
    """Seconds of the deadline for which the session's timeouts are set."""
    shares_session = False
    """True behind PgBouncer: a setting of the session would reach other clients."""

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Connect before the deadline. psycopg itself looks up host names without a timeout."""
        seconds = _remaining()
        if seconds is not None and kwargs.get("host") and not kwargs.get("hostaddr"):
            try:
                kwargs |= resolved(kwargs["host"], kwargs.get("port"), seconds)
            except TimeoutError:
                raise DeadlineError from None
        return super().connect(*args, **kwargs)

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        """Connect to an address. psycopg resumes the generator every 0.1 s, and the deadline is checked each time."""
        _remaining()
        attempt = super()._connect_gen(conninfo)
        try:
            wanted = next(attempt)
            while True:
                ready = yield wanted
                _remaining()
                wanted = attempt.send(ready)
        except StopIteration as stop:
            connection: Self = stop.value
            return connection

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait until psycopg's own timeout or the deadline. After the deadline the connection is closed."""
        try:
            seconds = _remaining()
            if seconds is None or (timeout is not None and timeout < seconds):
                return super().wait(gen, interval, timeout)
            return self._wait_until_deadline(seconds, gen, interval)
        except DeadlineError:
            # A backend that waits for a lock or computes does not notice a closed socket.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE and psycopg.capabilities.has_cancel_safe():
                with suppress(psycopg.Error):
                    super().cancel_safe(timeout=CANCEL_TIMEOUT)
            # Half a result may be in the socket, so the connection is useless. finish() never blocks.
            self.pgconn.finish()
            raise
        except psycopg.DatabaseError as error:
            if type(error) not in NO_POSTGRESQL:
                raise
            # psycopg keeps the connection, and Django does not take the error for an outage.
            self.pgconn.finish()
            raise psycopg.OperationalError(str(error)) from error

    def _wait_until_deadline(self, seconds: float, gen: PQGen[RV], interval: float) -> RV:
        try:
            return super().wait(gen, interval, seconds)
        except _WaitTimeout:
            raise DeadlineError from None

    def set_autocommit(self, value: bool) -> None:
        """Set autocommit, also after the deadline. Nothing is sent, and a COMMIT in time must not raise an error."""
        with self.lock:
            super().wait(self._set_autocommit_gen(value))

    def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Cancel the query before the deadline. psycopg leaves a COPY without a call of `wait`."""
        if (seconds := _remaining()) is not None:
            timeout = min(timeout or seconds, seconds)  # 0 is no timeout
        super().cancel_safe(timeout=timeout)
