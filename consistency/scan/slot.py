"""One stream per process at a time; one whose client does not read loses its place."""

from threading import Lock
from time import monotonic
from typing import Final

PATIENCE: Final = 30.0
"""Seconds that a client may take for one piece before another stream may take over."""


class BusyError(Exception):
    """Another stream is under way in this process."""


class Slot:
    """Held by the stream that runs, which says when it waits for its client and when it goes on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holder: object = None
        self._waits_since: float | None = None

    def take(self, holder: object) -> None:
        """Take it, or raise BusyError."""
        with self._lock:
            stalled = self._waits_since is not None and monotonic() - self._waits_since > PATIENCE
            if self._holder is not None and not stalled:
                raise BusyError
            self._holder, self._waits_since = holder, monotonic()

    def wait(self, holder: object) -> None:
        """The holder hands a piece to its client."""
        with self._lock:
            if self._holder is holder:
                self._waits_since = monotonic()

    def resume(self, holder: object) -> bool:
        """The client has taken it; False if another stream has taken over meanwhile."""
        with self._lock:
            if self._holder is holder:
                self._waits_since = None
            return self._holder is holder

    def release(self, holder: object) -> None:
        """Give it back, if it is still the holder's."""
        with self._lock:
            if self._holder is holder:
                self._holder = None
