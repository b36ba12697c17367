"""The time until which the current thread or request may wait for PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

# The instant of the deadline, then the instant and the seconds of the outermost deadline.
_deadline: ContextVar[tuple[float, float, float] | None] = ContextVar("postgres_deadline", default=None)


@contextmanager
def deadline(seconds: float, *, since: float | None = None) -> Iterator[None]:
    """Let the block wait for PostgreSQL until `seconds` from now, or from the monotonic instant `since`.

    Of nested deadlines the earliest counts.
    """
    outer = _deadline.get()
    instant = (monotonic() if since is None else since) + seconds
    _deadline.set((instant, instant, seconds) if outer is None else (min(outer[0], instant), *outer[1:]))
    try:
        yield
    finally:
        # reset(token) fails here: the generator of a streaming response may be closed in another context.
        _deadline.set(outer)


def remaining() -> float | None:
    """Return the seconds until the deadline: 0.0 after the deadline, None without a deadline."""
    current = _deadline.get()
    return None if current is None else max(0.0, current[0] - monotonic())


def outermost() -> float | None:
    """Return the seconds of the whole request, probe or command; None without a deadline."""
    current = _deadline.get()
    return None if current is None else current[2]


@contextmanager
def waiting() -> Iterator[float | None]:
    """Yield the seconds until the outermost deadline. Inner deadlines do not count the time of the block."""
    current, began = _deadline.get(), monotonic()
    if current is None:
        yield None
        return
    instant, last, seconds = current
    yield max(0.0, last - began)
    _deadline.set((min(instant + monotonic() - began, last), last, seconds))
