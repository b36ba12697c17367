"""The snapshot: the latest result of every probe in this process, and the thread that refreshes essential probes."""

import logging
import os
import random
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from health.lateness import lateness
from health.registry import PROBES, Probe
from health.runs.result import ERROR, ProbeResult, overall
from health.runs.runner import Runner

log = logging.getLogger(__name__)

TICK: Final = 0.25
# In a process whose server did not run the first round at its start, the first request waits for the round.
FIRST_ROUND_TIMEOUT: Final = 1.0
CLOSE_TIMEOUT: Final = 5.0


class Snapshot:
    """The runners of the probes in a registry, and the refresher."""

    def __init__(self, registry: Mapping[str, Probe] = PROBES, *, refreshing: bool = True) -> None:
        self._registry = registry
        self._refreshing = refreshing
        self.reset()

    def reset(self) -> None:
        """Start without runners and results. A forked child calls `reset`, because threads do not survive a fork.

        Connections stay open: they belong to the parent.
        """
        self.started = datetime.now(UTC)
        self._lock = threading.Lock()
        self._runners: dict[str, Runner] = {}
        self._due: dict[str, float] = {}
        self._refresher: threading.Thread | None = None
        self._stop = threading.Event()
        self._first_round_until: float | None = None
        lateness.reset()

    # --- Read without waiting ----------------------------------------------------------------------------
    def result(self, name: str) -> ProbeResult:
        """Return the current result of a probe."""
        return self._runner(name).result()

    def known_down(self, name: str) -> bool:
        """Return whether a young result is `error`; False if nothing is known."""
        result = self.result(name)
        return result.status == ERROR and result.known

    def essential(self) -> dict[str, ProbeResult]:
        """Return the current results of the essential probes."""
        return {name: self.result(name) for name in self._essential()}

    def status(self) -> str:
        """Return the overall status: `ok` only if every essential probe is ok."""
        return overall(self.essential().values())

    # --- Run probes --------------------------------------------------------------------------------------
    def refresh(
        self, names: Iterable[str] | None = None, *, budget: float, fresh: bool = False
    ) -> dict[str, ProbeResult]:
        """Run every probe whose result is older than its TTL, in parallel; return the results within `budget` seconds.

        `fresh` runs every probe, with new clients and connections.
        """
        now = monotonic()
        runners = [self._runner(name) for name in (self._registry if names is None else names)]
        runs = [(runner, runner.request(since=now if fresh else None)) for runner in runners]
        self._start_refresher()
        return {runner.probe.name: runner.wait(number, now + budget) for runner, number in runs}

    def ensure_started(self) -> None:
        """Start the refresher if needed. The first calls in a process wait for the first round of probes."""
        self._start_refresher()
        if self._first_round_until is None:
            self._first_round_until = monotonic() + FIRST_ROUND_TIMEOUT
        if not self._has_first_round() and (seconds := self._first_round_until - monotonic()) > 0:
            self.refresh(self._essential(), budget=seconds)

    def is_ready(self) -> bool:
        """Return whether the first round of essential probes has ended."""
        self.ensure_started()
        return self._has_first_round()

    def close(self) -> None:
        """End the threads that are not stuck, and close their connections. The next call starts new threads."""
        until = monotonic() + CLOSE_TIMEOUT
        self._stop.set()
        if self._refresher is not None:  # first, because the refresher creates runners
            self._refresher.join(CLOSE_TIMEOUT)
        runners = list(self._runners.values())
        for runner in runners:
            runner.end()
        for runner in runners:
            runner.join(until)
        self.reset()

    def _has_first_round(self) -> bool:
        return all(self._runner(name).has_run() for name in self._essential())

    def _essential(self) -> list[str]:
        return [name for name, probe in self._registry.items() if probe.essential]

    def _runner(self, name: str) -> Runner:
        if (runner := self._runners.get(name)) is None:
            with self._lock:
                runner = self._runners.setdefault(name, Runner(self._registry[name], self._required_result))
        return runner

    def _required_result(self, name: str, since: float | None) -> ProbeResult:
        runner = self._runner(name)
        # Two deadlines: a current run may have to end before the run that counts.
        return runner.wait(runner.request(since=since), monotonic() + 2 * runner.probe.deadline)

    # --- The refresher -----------------------------------------------------------------------------------
    def _start_refresher(self) -> None:
        if self._refresher is not None and self._refresher.is_alive():
            return
        with self._lock:
            if self._refresher is None or not self._refresher.is_alive():
                self._refresher = threading.Thread(
                    target=self._refresh_forever, args=(self._stop,), name="probe refresher", daemon=True
                )
                self._refresher.start()

    def _refresh_forever(self, stop: threading.Event) -> None:
        while not lateness.wait(stop, TICK):
            try:
                self._tick()
            except Exception:  # without the refresher, results expire
                log.exception("The refresher of probes failed.")

    def _tick(self) -> None:
        """Request due runs and close overdue clients, without waiting."""
        now = monotonic()
        for name, probe in list(self._registry.items()):
            runner = self._runner(name)
            runner.executor.close_overdue_client()
            if self._refreshing and probe.refreshed and now >= self._due.get(name, 0.0):
                # Well before the result expires, and at random, so that processes do not run probes at the same time.
                self._due[name] = now + probe.ttl * random.uniform(0.5, 0.75)  # noqa: S311 - no secret
                runner.request(force=True)


snapshot: Final = Snapshot()
os.register_at_fork(after_in_child=snapshot.reset)
