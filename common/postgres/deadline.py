"""The instant until which the work at hand may wait for PostgreSQL; each thread and each request has its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_instant: ContextVar[float | None] = ContextVar("postgres_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let the block wait for PostgreSQL until `seconds` from now; inside another deadline the earlier one holds."""
    previous = _instant.get()
    instant = monotonic() + seconds
    _instant.set(instant if previous is None else min(previous, instant))
    try:
        yield
    finally:
        # Not reset(token): a streaming response's generator may be closed in another context than it was begun in.
        _instant.set(previous)


def remaining() -> float | None:
    """Seconds left until the deadline, 0.0 once it is past, None where there is none."""
    instant = _instant.get()
    return None if instant is None else max(0.0, instant - monotonic())
