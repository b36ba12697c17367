"""Calls that can be walked away from: where a server drips byte by byte, no timeout of its client ever ends a read."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Final, TypeVar

T = TypeVar("T")

# More than a server has request threads; what is stuck for good stays below it, too.
ROOM: Final = 64
_room: Final = threading.BoundedSemaphore(ROOM)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, made in a daemon thread of its own. Raises TimeoutError, and whatever it raises."""
    until = monotonic() + seconds
    if not _room.acquire(timeout=max(0.0, seconds)):
        raise TimeoutError
    answer: Future[T] = Future()
    threading.Thread(target=_work, args=(call, answer), name="bounded call", daemon=True).start()
    return answer.result(max(0.0, until - monotonic()))


def _work(call: Callable[[], T], answer: "Future[T]") -> None:
    try:
        answer.set_result(call())
    except Exception as error:  # the caller's, if it still waits
        answer.set_exception(error)
    finally:
        _room.release()
