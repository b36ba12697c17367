"""Run a call that may hang, at a disk or a name server, in a thread that the caller can leave."""

import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextvars import copy_context
from time import monotonic
from typing import Any, Final, TypeVar

from django.db import connections

T = TypeVar("T")


class StuckError(TimeoutError):
    """The call gave no answer in time. `waited` is the number of seconds since the call began."""

    def __init__(self, waited: float) -> None:
        super().__init__(f"no answer after {waited:.1f} s")
        self.waited = waited


class _Lane:
    """The calls of one key, one at a time."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.began = self.until = 0.0
        """Monotonic instants of the call under way: the begin, and the end of the caller's patience."""


_lanes: Final[dict[Hashable, _Lane]] = {}
os.register_at_fork(after_in_child=_lanes.clear)  # no thread survives a fork


def within(seconds: float, key: Hashable, call: Callable[[], T]) -> T:
    """Return the result of `call`. Raise StuckError after `seconds`, and leave the thread of the call behind.

    Calls with the same key run one after another, so at most one thread per key is left behind. While a thread is left
    behind, further calls with the key raise StuckError at once. The call has connections of its own to databases, and
    the context of the caller, such as the deadline.
    """
    lane, now = _lanes.setdefault(key, _Lane()), monotonic()
    is_left = lane.turn.locked() and now > lane.until
    if is_left or not lane.turn.acquire(timeout=max(0.0, seconds)):
        raise StuckError(monotonic() - lane.began)
    lane.began, lane.until = monotonic(), now + seconds
    future: Future[T] = Future()
    thread = threading.Thread(
        target=copy_context().run, args=(_run, lane, future, call), name=f"bounded {key}", daemon=True
    )
    try:
        thread.start()
    except BaseException:  # no thread is free
        lane.turn.release()
        raise
    try:
        return future.result(max(0.0, lane.until - monotonic()))
    except TimeoutError:
        if future.done():
            return future.result()
        raise StuckError(monotonic() - lane.began) from None


def _run(lane: _Lane, future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
    finally:
        connections.close_all()
        lane.turn.release()
