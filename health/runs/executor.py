"""The execution of one probe: the client kept between runs, the deadline, and the meaning of exceptions."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from threading import get_native_id
from time import monotonic
from typing import Any, Final

from django.db import connections

from common import errors
from common.postgres import pool
from common.postgres.deadline import deadline
from health.lateness import LATE, lateness, run_delay
from health.registry import PUBLISHED, Degraded, NotApplicable, Probe, Unfinished, Unwell
from health.runs.result import DEGRADED, ERROR, OK, ProbeResult, milliseconds

log = logging.getLogger(__name__)

UNEXPECTED: Final = "unexpected error"
OVERLOADED: Final = "no recent answer, this process is overloaded"
SLOW_MS: Final = 500
SLOW_RUNS: Final = 3
# Seconds after the deadline until a run is overdue: most clients end the run at the deadline.
GRACE: Final = 0.1


class ProbeExecutor:
    """Runs one probe in the current thread; `is_overdue` and `close_overdue_client` are for other threads."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        # A statement of a probe that waits for a locked table must not hold up `SELECT 1`.
        self._connections = pool.POSTGRES_PROBE if probe.name == "postgres" else pool.PROBES
        self.since: float | None = None
        """Monotonic instant at which the current run began to wait for the service."""
        self._thread, self._delay = 0, 0.0  # of the current run, and the delay of the thread before the run
        self._published: dict[str, Any] = {}
        self._client: object | None = None
        self._client_was_closed = False
        self._slow_runs = 0
        self._unexpected_was_logged = False

    def run(self) -> ProbeResult:
        """Run the probe once. After an error the client and the database connections are closed."""
        self._client_was_closed = False
        try:
            result = self._measure()
        finally:
            self.since, self._published = None, {}
        if result.status == ERROR or self._client_was_closed:
            self.discard()
        self._unexpected_was_logged = result.reason == UNEXPECTED
        return self._with_slowness(result)

    def known_values(self) -> Mapping[str, Any] | None:
        """Return the values without an answer, and the values that the current run has published."""
        return {**self.probe.known(), **self._published} or None

    def is_overdue(self) -> bool:
        """Return whether the current run has exceeded the deadline and the grace period."""
        since = self.since
        return since is not None and monotonic() - since > self.probe.deadline + GRACE

    def was_late(self) -> bool:
        """Return whether this process was late during the current run, or during the last seconds of a long run."""
        if (since := self.since) is None:
            return False
        now, delay = monotonic(), run_delay(self._thread) - self._delay
        if delay >= LATE * max(1.0, now - since):
            lateness.observe(delay)
            return True
        return lateness.late(max(since, now - self.probe.deadline - GRACE)) > 0

    def close_overdue_client(self) -> None:
        """Close the client of an overdue run, which ends the wait for a server that sends byte by byte."""
        client = self._client
        if self.is_overdue() and not self._client_was_closed and not self.was_late():
            self._client_was_closed = True
            log.warning("Probe %s gives no answer.", self.probe.name)
            _close(client)

    def discard(self, *, everything: bool = False) -> None:
        """Close the client and the connections. A client without `close()` cannot break: only `everything` drops it."""
        if everything or hasattr(self._client, "close"):
            _close(self._client)
            self._client = None
        for connection in connections.all(initialized_only=True):
            connection.close()
        if everything:
            pool.close_idle(self._connections)

    def _measure(self) -> ProbeResult:
        began = monotonic()
        PUBLISHED.set(self._published)
        outcome: dict[str, Any]
        try:
            arguments = self._arguments()
            self._thread = get_native_id()
            self._delay = run_delay(self._thread)
            began = self.since = monotonic()  # creating a client may import a library, which is not the server's time
            outcome = {"status": OK, "value": self._call(*arguments)}
        except NotApplicable as unwell:
            known = not isinstance(unwell, Unfinished)
            outcome = {"status": OK, "value": unwell.value, "note": unwell.reason, "known": known}
        except Unwell as unwell:
            status = DEGRADED if isinstance(unwell, Degraded) else ERROR
            outcome = {"status": status, "value": unwell.value, "reason": unwell.reason}
            outcome |= self._excuse(unwell)
        except Exception as error:
            reason = self._explain(error, monotonic() - began)
            outcome = {"status": ERROR, "reason": reason, "known": reason != UNEXPECTED} | self._excuse(error)
        if outcome.get("value") is None:
            outcome["value"] = self.known_values()
        ended = monotonic()
        return ProbeResult(**outcome, latency_ms=milliseconds(ended - began), began=began, measured=ended)

    def _arguments(self) -> tuple[object, ...]:
        if self.probe.client is None:
            return ()
        if self._client is None:
            self._client = self.probe.client()
        return (self._client,)

    def _call(self, *arguments: object) -> Mapping[str, Any] | None:
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
        with deadline(self.probe.deadline), pool.using(self._connections):
            return self.probe.run(*arguments)

    def _excuse(self, error: Exception) -> dict[str, Any]:
        """Return a different outcome if the deadline passed because of this process. A refusal is an answer."""
        if errors.is_timeout(error) and self.was_late():
            return {"status": DEGRADED, "reason": OVERLOADED, "known": False}
        return {}

    def _explain(self, error: Exception, waited: float) -> str:
        if self._client_was_closed:  # the error comes from the closed client
            return errors.no_answer(self.probe.deadline)
        if reason := errors.explain(error, min(waited, self.probe.deadline)):
            return reason
        if not self._unexpected_was_logged:  # once, not at every run
            log.error("Probe %s failed unexpectedly.", self.probe.name, exc_info=error)
        return UNEXPECTED

    def _with_slowness(self, result: ProbeResult) -> ProbeResult:
        is_slow = result.status == OK and result.latency_ms > SLOW_MS and not lateness.late(result.began)
        self._slow_runs = self._slow_runs + 1 if is_slow else 0
        if self.probe.is_service and self._slow_runs >= SLOW_RUNS:
            return replace(result, status=DEGRADED, reason="slow")
        return result


def _close(client: object | None) -> None:
    with suppress(Exception):  # a broken client may fail to close
        if (close := getattr(client, "close", None)) is not None:
            close()
