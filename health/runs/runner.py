"""The daemon thread of one probe: one run at a time, which callers may stop waiting for at any moment."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final

from django.db import connections

from common.errors import no_answer, no_answer_for
from common.text import without_numbers
from health.lateness import lateness
from health.registry import Probe
from health.runs.executor import GRACE, OVERLOADED, ProbeExecutor
from health.runs.result import DEGRADED, ERROR, OK, ProbeResult, milliseconds

log = logging.getLogger(__name__)

# An error of a probe with a long TTL is checked again after so many seconds.
ERROR_TTL: Final = 30.0


class Runner:
    """Runs one probe on request. Runs are numbered: a caller waits for the end of the run with its number."""

    def __init__(self, probe: Probe, required_result: Callable[[str, float | None], ProbeResult]) -> None:
        self.probe = probe
        self.executor = ProbeExecutor(probe)
        self._required_result = required_result
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._requested = self._started = self._finished = 0  # numbers of runs
        self._started_at = 0.0
        self._fresh_since: float | None = None  # the next run keeps no client from before
        self._ending = False
        self._last: ProbeResult | None = None
        self._last_was_skipped = False
        self._was_missed = False  # the last run ended without answer, because this process was late

    # --- Other threads -----------------------------------------------------------------------------------
    def request(self, *, since: float | None = None, force: bool = False) -> int:
        """Request a run unless the last result is young enough; return the number of the run to wait for.

        `force` requests a run even so. With `since` (a monotonic instant) only a run started later counts,
        and the requested run uses new clients and connections.
        """
        with self._condition:
            if self._started > self._finished:
                if since is None or self._started_at >= since:
                    return self._started
            elif not force and self._is_young(since):
                return self._finished
            if since is not None:
                self._fresh_since = max(since, self._fresh_since or since)
            return self._request_next()

    def _is_young(self, since: float | None) -> bool:
        # A skipped run says nothing about the service: the required probe may be well by now.
        if (last := self._last) is None or self._last_was_skipped:
            return False
        if since is not None:
            return last.began >= since
        ttl = min(self.probe.ttl, ERROR_TTL) if last.status == ERROR else self.probe.ttl
        return monotonic() - last.measured <= ttl

    def _request_next(self) -> int:
        self._requested = max(self._requested, self._started + 1)
        if self._thread is None or not self._thread.is_alive():
            self._finished, self._ending = self._started, False
            self._thread = threading.Thread(target=self._work, name=f"probe {self.probe.name}", daemon=True)
            self._thread.start()
        self._condition.notify_all()
        return self._requested

    def wait(self, number: int, until: float) -> ProbeResult:
        """Return the result of a run, or the current result if the run is overdue or goes on at `until`."""
        with self._condition:
            while self._finished < number and (seconds := self._seconds_to_wait(until)) > 0:
                # In short steps: a run that starts during the wait sets an earlier end.
                self._condition.wait(min(seconds, GRACE))
            last = self._last if self._finished >= number and not self._was_missed else None
        return last or self.result()

    def _seconds_to_wait(self, until: float) -> float:
        if (since := self.executor.since) is not None:
            until = min(until, since + self.probe.deadline + GRACE)
        return until - monotonic()

    def result(self) -> ProbeResult:
        """Return the current result, or an error if the result is old, because the thread may be stuck or dead.

        While this process is late, a run may exceed the deadline, and an old result is degraded instead.
        """
        since, last, now = self.executor.since, self._last, monotonic()
        is_overdue = since is not None and now - since > self.probe.deadline
        is_late = self.executor.was_late if is_overdue else lateness.late
        is_old = last is None or now - last.measured > self.probe.ttl + self.probe.deadline
        if last is not None and not is_old and (not is_overdue or is_late()):
            return last
        if (last is None or last.status != ERROR) and is_late():
            return self._error(OVERLOADED, now - (last.measured if last else now), known=False, status=DEGRADED)
        if since is not None and is_overdue:
            return self._error(no_answer(self.probe.deadline), now - since)
        if last is None:
            return self._error("no answer yet", now - self._started_at if self._started_at else 0.0, known=False)
        return self._error(no_answer_for(now - last.measured), now - last.measured, known=False)

    def has_run(self) -> bool:
        """Return whether there is a first result, or the first run is overdue."""
        return self._last is not None or self.executor.is_overdue()

    def end(self) -> None:
        """Let the thread end after its current run."""
        with self._condition:
            self._ending = True
            self._condition.notify_all()

    def join(self, until: float) -> None:
        """Wait for the end of the thread until the monotonic instant `until`."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - monotonic()))

    # --- The probe's thread ------------------------------------------------------------------------------
    def _work(self) -> None:
        while self._start_next():
            result = None
            try:
                result = self._run()
            finally:
                self._finish(result)
        self.executor.discard(everything=True)
        connections.close_all()

    def _start_next(self) -> bool:
        with self._condition:
            while self._requested <= self._started and not self._ending:
                self._condition.wait()
            self._started += not self._ending
            self._started_at = monotonic()
            return not self._ending

    def _run(self) -> ProbeResult:
        fresh_since, self._fresh_since = self._fresh_since, None
        if fresh_since is not None:
            self.executor.discard(everything=True)
        required = self.probe.requires
        down = next((name for name in required if self._required_result(name, fresh_since).status == ERROR), None)
        self._last_was_skipped = down is not None
        if down is None:
            return self.executor.run()
        now = monotonic()
        skipped = self._error(f"skipped: {down} is down", now - self._started_at)
        return replace(skipped, began=self._started_at, measured=now)

    def _finish(self, result: ProbeResult | None) -> None:
        with self._condition:
            self._was_missed = result is not None and result.reason == OVERLOADED
            if self._was_missed and (last := self._last):
                # Only an answer ends an error. Otherwise an outage under load would seem to end and to begin again.
                result = replace(last, measured=monotonic()) if last.status == ERROR else None
            if result is not None:
                self._log_change(result)
                self._last = replace(result, since=self._since(result.status, result.checked_at))
            self._finished = self._started
            self._condition.notify_all()

    def _log_change(self, result: ProbeResult) -> None:
        if _state(self._last) != _state(result):
            level = logging.INFO if result.status == OK else logging.WARNING
            ending = f": {result.reason}" if result.reason else " again"
            line = "Probe %s is %s%s."
            log.log(level, line, self.probe.name, result.status, ending, extra={"transition": True})

    def _error(self, reason: str, waited: float, *, known: bool = True, status: str = ERROR) -> ProbeResult:
        value = self.executor.known_values()
        # A run without answer ends the status of the last answer at the time of that answer.
        since = self._since(status, self._last.checked_at) if self._last else None
        latency_ms = milliseconds(waited)
        return ProbeResult(status=status, reason=reason, value=value, latency_ms=latency_ms, known=known, since=since)

    def _since(self, status: str, changed_at: datetime) -> datetime | None:
        if self._last is None or self._last.status == status:
            return self._last.since if self._last else None
        return changed_at


def _state(result: ProbeResult | None) -> tuple[str, str]:
    """Return the status and the reason without numbers: another number of seconds is no news."""
    return (result.status, without_numbers(result.reason or "")) if result else (OK, "")
