"""One probe's own daemon thread: it asks when told to, one run at a time, and can be walked away from at any moment."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from django.db import connections

from common.errors import no_answer_for
from health.attempt import GRACE, Attempts
from health.registry import Probe
from health.verdict import ERROR, OK, Verdict, milliseconds

log = logging.getLogger(__name__)

# A mistake, or a server that was away, should not be believed for as long as a good answer.
ERROR_TTL: Final = 30.0


class Runner:
    """Runs one probe, one run at a time. A ticket is the number of the run whose end its holder waits for."""

    def __init__(self, probe: Probe, dependency: Callable[[str, float | None], Verdict]) -> None:
        self.probe = probe
        self.attempts = Attempts(probe)
        self._dependency = dependency
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = self._begun = self._done = 0
        self._asked = 0.0  # when the latest run began, whatever it still had to wait for
        self._fresh: float | None = None  # the next run reads everything anew, for one who asked at this instant
        self._ending = False
        self._last: Verdict | None = None
        self._was_skipped = False

    # --- Those who ask -----------------------------------------------------------------------------------
    def request(self, *, since: float | None = None, again: bool = False) -> int:
        """Make sure that an answer young enough comes; returns the ticket to wait for, without waiting.

        `again` asks even where the last answer is young. With `since` (a monotonic instant) only a run that began
        after it counts, and one begun for it reads everything anew.
        """
        with self._turn:
            if self._begun > self._done:
                if since is None or self._asked >= since:
                    return self._begun
            elif not again and self._is_young(since):
                return self._done
            if since is not None:
                self._fresh = max(since, self._fresh or since)
            return self._want_another()

    def _is_young(self, since: float | None) -> bool:
        # A skipped run asked nothing: what held it up may be over by now.
        if (last := self._last) is None or self._was_skipped:
            return False
        if since is not None:
            return last.began >= since
        ttl = min(self.probe.ttl, ERROR_TTL) if last.status == ERROR else self.probe.ttl
        return monotonic() - last.measured <= ttl

    def _want_another(self) -> int:
        self._wanted = max(self._wanted, self._begun + 1)
        if self._thread is None or not self._thread.is_alive():
            self._done, self._ending = self._begun, False
            self._thread = threading.Thread(target=self._work, name=f"probe {self.probe.name}", daemon=True)
            self._thread.start()
        self._turn.notify_all()
        return self._wanted

    def wait(self, ticket: int, until: float) -> None:
        """Wait for the ticket's run to end, no longer than `until` (monotonic) and not for one that overran."""
        with self._turn:
            while self._done < ticket and (left := self._patience(until)) > 0:
                self._turn.wait(left)

    def _patience(self, until: float) -> float:
        since = self.attempts.since
        if since is not None:
            until = min(until, since + self.probe.deadline + GRACE)
        return until - monotonic()

    def answer(self, ticket: int) -> Verdict:
        """The verdict of the ticket's run, however long its holder was busy waiting for others; or what there is."""
        with self._turn:
            last = self._last if self._done >= ticket else None
        return last or self.verdict()

    def verdict(self) -> Verdict:
        """Say what may be believed now. Age decides, so what a hung or dead thread left is not believed for ever."""
        since, last, now = self.attempts.since, self._last, monotonic()
        if since is not None and now - since > self.probe.deadline:
            return _silence(no_answer_for(now - (last.measured if last else since)), now - since)
        if last is None:
            return _silence("no answer yet", now - self._asked if self._asked else 0.0, known=False)
        if now - last.measured > self.probe.ttl + self.probe.deadline:
            return _silence(no_answer_for(now - last.measured), now - last.measured, known=False)
        return last

    def has_run(self) -> bool:
        """Whether a first verdict is there, or is overdue."""
        return self._last is not None or self.attempts.overran()

    def end(self) -> None:
        """Let the thread close what it keeps and end, unless it is stuck."""
        with self._turn:
            self._ending = True
            self._turn.notify_all()

    def join(self, until: float) -> None:
        """Wait for the ended thread, no longer than `until` (monotonic)."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - monotonic()))

    # --- The thread --------------------------------------------------------------------------------------
    def _work(self) -> None:
        while self._next():
            verdict = None
            try:
                verdict = self._run()
            finally:
                self._finish(verdict)
        self.attempts.discard(everything=True)
        connections.close_all()

    def _next(self) -> bool:
        with self._turn:
            while self._wanted <= self._begun and not self._ending:
                self._turn.wait()
            self._begun += not self._ending
            self._asked = monotonic()
            return not self._ending

    def _run(self) -> Verdict:
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            self.attempts.discard(everything=True)
        down = next((name for name in self.probe.requires if self._dependency(name, fresh).status == ERROR), None)
        self._was_skipped = down is not None
        return self.attempts.make() if down is None else self._skipped(down)

    def _skipped(self, name: str) -> Verdict:
        now = monotonic()
        waited = milliseconds(now - self._asked)
        reason = f"skipped: {name} is down"
        return Verdict(status=ERROR, reason=reason, latency_ms=waited, began=self._asked, measured=now)

    def _finish(self, verdict: Verdict | None) -> None:
        with self._turn:
            if verdict is not None:
                self._tell_a_change(verdict)
                self._last = verdict
            self._done = self._begun
            self._turn.notify_all()

    def _tell_a_change(self, verdict: Verdict) -> None:
        before = (self._last.status, self._last.reason) if self._last else (OK, None)
        if before != (verdict.status, verdict.reason):
            level = logging.INFO if verdict.status == OK else logging.WARNING
            because = f": {verdict.reason}" if verdict.reason else " again"
            log.log(level, "Probe %s is %s%s.", self.probe.name, verdict.status, because)


def _silence(reason: str, waited: float, *, known: bool = True) -> Verdict:
    return Verdict(status=ERROR, reason=reason, latency_ms=milliseconds(waited), known=known)
