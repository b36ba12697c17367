"""Open periods of an anomaly, from its events."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from django.utils import timezone

from common.times import duration
from consistency.models.history import Anomaly, AnomalyEvent, EventKind

MAX_PERIODS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Time in which an anomaly was open."""

    opened: AnomalyEvent
    resolved: AnomalyEvent | None
    """None while the anomaly is open; also if the history, from 1.0.0, does not hold this resolution."""

    @property
    def duration(self) -> str:
        """Return the length for people."""
        return duration(self.opened.at, self.resolved.at if self.resolved else timezone.now())


def open_periods(anomaly: Anomaly) -> list[Period]:
    """Return the last open periods, newest first, at most MAX_PERIODS."""
    kinds = (EventKind.FOUND, EventKind.RETURNED, EventKind.RESOLVED)
    events = anomaly.events.filter(kind__in=kinds)[: 2 * MAX_PERIODS]
    return [
        Period(opened=event, resolved=later if later and later.kind == EventKind.RESOLVED else None)
        for later, event in pairwise([None, *events])
        if event and event.kind != EventKind.RESOLVED
    ]
