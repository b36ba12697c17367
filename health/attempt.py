"""One look at the world: what a probe keeps between its runs, how it is bounded, and what its outcome means."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from time import monotonic
from typing import Any, Final, Protocol, cast

from django.db import DEFAULT_DB_ALIAS, connections

from common import errors
from health.registry import Degraded, Probe, Unasked, Unwell
from health.verdict import DEGRADED, ERROR, OK, Verdict, milliseconds

log = logging.getLogger(__name__)

UNEXPECTED: Final = "unexpected error"
SLOW_MS: Final = 500
SLOW_RUNS: Final = 3
# A client bounds itself at the deadline; only what is still silent a little later has overrun it.
GRACE: Final = 0.1


class Bounded(Protocol):
    """A connection of the ENGINE that keeps deadlines."""

    def deadline(self, seconds: float) -> AbstractContextManager[None]: ...


class Attempts:
    """The attempts of one probe, one after another in the probe's own thread; `free` is for the supervisor's."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.since: float | None = None
        """When the attempt now under way began to wait for the world (monotonic)."""
        self._client: object | None = None
        self._freed = False
        self._slow = 0
        self._surprised = False

    def make(self) -> Verdict:
        """Look once, with what is kept; what an error or an overrun has put in doubt is closed."""
        self._freed = False
        try:
            verdict = self._measure()
        finally:
            self.since = None
        if verdict.status == ERROR or self._freed:
            self.discard()
        self._surprised = not verdict.known
        return self._judge_slowness(verdict)

    def overran(self) -> bool:
        """Whether the attempt under way is past its deadline, and past the moment at which its client should notice."""
        since = self.since
        return since is not None and monotonic() - since > self.probe.deadline + GRACE

    def free(self) -> None:
        """Close the client of an attempt that overran: that ends the wait for a socket that drips."""
        client = self._client
        if self.overran() and not self._freed:
            self._freed = True
            log.warning("Probe %s gives no answer.", self.probe.name)
            _close(client)

    def discard(self, *, everything: bool = False) -> None:
        """Forget what is kept. What cannot be closed cannot be broken either, and is worth keeping after an error."""
        if everything or hasattr(self._client, "close"):
            _close(self._client)
            self._client = None
        for connection in connections.all(initialized_only=True):
            connection.close()

    def _measure(self) -> Verdict:
        began, value, reason, note, known = monotonic(), None, None, None, True
        try:
            arguments = self._kept()
            began = self.since = monotonic()  # making a client may import a library: not the server's time
            value, status = self._look(*arguments), OK
        except Unasked as outcome:
            value, note, status = outcome.value, outcome.reason, OK
        except Unwell as outcome:
            value, reason = outcome.value, outcome.reason
            status = DEGRADED if isinstance(outcome, Degraded) else ERROR
        except Exception as problem:
            status, reason = ERROR, self._explain(problem, monotonic() - began)
            known = reason != UNEXPECTED
        ended = monotonic()
        return Verdict(
            status=status,
            reason=reason,
            note=note,
            value=value,
            latency_ms=milliseconds(ended - began),
            known=known,
            began=began,
            measured=ended,
        )

    def _kept(self) -> tuple[object, ...]:
        if self.probe.client is None:
            return ()
        if self._client is None:
            self._client = self.probe.client()
        return (self._client,)

    def _look(self, *arguments: object) -> Mapping[str, Any] | None:
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
        # The deadline is the thread's, whichever of its connections it was set through.
        with cast("Bounded", connections[DEFAULT_DB_ALIAS]).deadline(self.probe.deadline):
            return self.probe.look(*arguments)

    def _explain(self, problem: Exception, waited: float) -> str:
        if waited > self.probe.deadline + GRACE:
            return errors.no_answer(self.probe.deadline)  # its client was closed under it
        if reason := errors.explain(problem, waited):
            return reason
        if not self._surprised:  # logged once, not every two seconds
            log.error("Probe %s failed unexpectedly.", self.probe.name, exc_info=problem)
        return UNEXPECTED

    def _judge_slowness(self, verdict: Verdict) -> Verdict:
        slow = verdict.status == OK and verdict.latency_ms > SLOW_MS
        self._slow = self._slow + 1 if slow else 0
        if self.probe.is_service and self._slow >= SLOW_RUNS:
            return replace(verdict, status=DEGRADED, reason="slow")
        return verdict


def _close(client: object | None) -> None:
    try:
        if (close := getattr(client, "close", None)) is not None:
            close()
    except Exception:  # what is thrown away because it is broken may well break once more
        log.debug("A client did not close cleanly.", exc_info=True)
