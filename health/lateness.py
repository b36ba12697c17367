"""The lateness of this process: the time in which a thread should have run, but had to wait for CPU time or the GIL."""

import logging
from collections import deque
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

log = logging.getLogger(__name__)

JITTER: Final = 0.05  # seconds; shorter delays are ordinary on a busy machine
# Seconds. A run of a probe waits for the GIL many times and has one second. Beside busy loops and 64 clients every run
# that missed its deadline had lost 0.4 s or more by this measure. An idle process loses none.
LATE: Final = 0.2
RECENT: Final = 5.0  # seconds; long enough for a run to follow on a delay


class Lateness:
    """Collects the delays of threads. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every delay. A forked child calls `reset`, because the waiting thread is the parent's."""
        self._delays: deque[tuple[float, float]] = deque(maxlen=256)
        self._due = inf
        self._is_logged = False

    def observe(self, seconds: float) -> None:
        """Record that a thread or an event loop has just woken up `seconds` later than planned."""
        if seconds > JITTER:
            self._delays.append((monotonic(), seconds))

    def wait(self, stop: Event, seconds: float) -> bool:
        """Wait like `stop.wait`, and record the delay since the last call, which should have been `seconds` ago.

        A delay counts while the thread has not woken up yet.
        """
        if self._due == inf:
            self._due = monotonic() + seconds
        stopped = stop.wait(seconds)
        self.observe(monotonic() - self._due)
        self._due = inf if stopped else monotonic() + seconds
        self._log_change()
        return stopped

    def late(self, since: float | None = None) -> float:
        """Return the seconds lost since a monotonic instant, by default a few seconds ago; 0.0 if fewer than LATE."""
        lost = self._lost(monotonic() - RECENT if since is None else since)
        return lost if lost >= LATE else 0.0

    def _lost(self, since: float) -> float:
        now = begin = monotonic()
        lost = 0.0
        # From the last to the first, so that simultaneous delays of two threads count once. list() copies in one step.
        for ended, seconds in [*list(self._delays), (now, now - self._due)][::-1]:
            end, begin = min(ended, begin), min(begin, max(since, ended - seconds))
            lost += max(0.0, end - begin)
        return lost

    def _log_change(self) -> None:
        if not self._is_logged and (seconds := self.late()):
            self._is_logged = True
            log.warning("This process is overloaded, %.1f s late.", seconds)
        elif self._is_logged and not self._lost(monotonic() - RECENT):
            self._is_logged = False
            log.info("This process is on time again.")


def run_delay(thread: int) -> float:
    """Return the seconds that a thread of this process has waited for a CPU; 0.0 if the kernel does not count them."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


lateness: Final = Lateness()
