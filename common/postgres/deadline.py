"""The time until which the current thread or request may wait for PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_deadline: ContextVar[float | None] = ContextVar("postgres_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let the block wait for PostgreSQL until `seconds` from now. Of nested deadlines the earliest counts."""
    outer = _deadline.get()
    instant = monotonic() + seconds
    _deadline.set(instant if outer is None else min(outer, instant))
    try:
        yield
    finally:
        # reset(token) fails here: the generator of a streaming response may be closed in another context.
        _deadline.set(outer)


def remaining() -> float | None:
    """Return the seconds until the deadline: 0.0 after the deadline, None without a deadline."""
    instant = _deadline.get()
    return None if instant is None else max(0.0, instant - monotonic())
