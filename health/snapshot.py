"""What this process last learned from its probes, each result with its age; a refresher keeps the services' young."""

import logging
import os
import random
import threading
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

from health.registry import PROBES, Probe
from health.runner import Runner
from health.verdict import ERROR, Verdict, overall

log = logging.getLogger(__name__)

TICK: Final = 0.25
# Where no server's start made the first round, the first answer of a process waits so long for it.
FIRST_ANSWER: Final = 1.0
ENDING: Final = 5.0


class Snapshot:
    """The runners of a registry's probes, and the thread that refreshes what must stay young."""

    def __init__(self, registry: Mapping[str, Probe] = PROBES, *, keeps_young: bool = True) -> None:
        self._registry = registry
        self._keeps_young = keeps_young
        self.draining = False
        """True once the server was told to stop."""
        self.forget()

    def forget(self) -> None:
        """Start from nothing, as a forked child must: threads do not survive a fork, and its locks may be held.

        Connections are left alone, not closed: they belong to the parent, and closing would say goodbye in its name.
        """
        self._lock = threading.Lock()
        self._runners: dict[str, Runner] = {}
        self._due: dict[str, float] = {}
        self._refresher: threading.Thread | None = None
        self._stop = threading.Event()
        self._patient_until: float | None = None

    # --- Reading -----------------------------------------------------------------------------------------
    def verdict(self, name: str) -> Verdict:
        """What may be believed now about the probe of this name; never waits."""
        return self._runner(name).verdict()

    def known_down(self, name: str) -> bool:
        """Whether a young verdict says `error`. False while nothing is known, so nobody gives up on a mere guess."""
        verdict = self.verdict(name)
        return verdict.status == ERROR and verdict.known

    def status(self) -> str:
        """The overall status: ok only if every essential probe is; never waits."""
        return overall(self.verdict(name) for name in self._essential())

    def is_ready(self) -> bool:
        """Whether the first round of the essential probes is done and the server has not been told to stop."""
        self.ensure()
        return self._first_round_is_done() and not self.draining

    # --- Asking ------------------------------------------------------------------------------------------
    def ask(self, names: Iterable[str] | None = None, *, budget: float, fresh: bool = False) -> dict[str, Verdict]:
        """Ask anew whatever is older than its TTL, side by side; return the verdicts within `budget` seconds.

        `fresh` asks all of them anew, on new connections and with nothing remembered.
        """
        now = monotonic()
        chosen = [self._runner(name) for name in (self._registry if names is None else names)]
        tickets = [runner.request(since=now if fresh else None) for runner in chosen]
        self._start_refresher()
        for runner, ticket in zip(chosen, tickets, strict=True):
            runner.wait(ticket, now + budget)
        return {runner.probe.name: runner.answer(ticket) for runner, ticket in zip(chosen, tickets, strict=True)}

    def ensure(self) -> None:
        """See that the refresher lives, as each request does; the first ones of a process wait for the first round."""
        self._start_refresher()
        if self._patient_until is None:
            self._patient_until = monotonic() + FIRST_ANSWER
        if not self._first_round_is_done() and (left := self._patient_until - monotonic()) > 0:
            self.ask(self._essential(), budget=left)

    def close(self) -> None:
        """End every thread that is not stuck, and its connections; the next who asks starts anew."""
        until = monotonic() + ENDING
        self._stop.set()
        if self._refresher is not None:  # first: it makes runners
            self._refresher.join(ENDING)
        runners = list(self._runners.values())
        for runner in runners:
            runner.end()
        for runner in runners:
            runner.join(until)
        self.forget()

    def _first_round_is_done(self) -> bool:
        return all(self._runner(name).has_run() for name in self._essential())

    def _essential(self) -> list[str]:
        return [name for name, probe in self._registry.items() if probe.essential]

    def _runner(self, name: str) -> Runner:
        if (runner := self._runners.get(name)) is None:
            with self._lock:
                runner = self._runners.setdefault(name, Runner(self._registry[name], self._dependency))
        return runner

    def _dependency(self, name: str, since: float | None) -> Verdict:
        """The verdict that a probe which requires `name` goes by; waits for it as long as it may take."""
        runner = self._runner(name)
        # Twice: the run that counts may have to wait for the one under way.
        runner.wait(runner.request(since=since), monotonic() + 2 * runner.probe.deadline)
        return runner.verdict()

    # --- The refresher -----------------------------------------------------------------------------------
    def _start_refresher(self) -> None:
        if self._refresher is None or not self._refresher.is_alive():
            with self._lock:
                if self._refresher is None or not self._refresher.is_alive():
                    self._refresher = threading.Thread(
                        target=self._refresh, args=(self._stop,), name="probe refresher", daemon=True
                    )
                    self._refresher.start()

    def _refresh(self, stop: threading.Event) -> None:
        while not stop.wait(TICK):
            try:
                self._tick()
            except Exception:  # a dead refresher would turn every verdict old
                log.exception("The refresher of probes stumbled.")

    def _tick(self) -> None:
        """Never waits for a probe: it only asks for runs, and frees those that overran."""
        now = monotonic()
        for name, probe in list(self._registry.items()):
            runner = self._runner(name)
            runner.attempts.free()
            if self._keeps_young and probe.kept_young and now >= self._due.get(name, 0.0):
                # Well before the old answer expires; not in step with the other processes.
                self._due[name] = now + probe.ttl * random.uniform(0.5, 0.75)  # noqa: S311 - no secret
                runner.request(again=True)


snapshot: Final = Snapshot()
os.register_at_fork(after_in_child=snapshot.forget)
