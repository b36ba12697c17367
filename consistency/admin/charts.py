"""Coordinates of small SVG pictures: the last scans of a check, and a time line of jobs and an anomaly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from common.text import printable
from common.times import format_minute
from consistency.history.current_state import Job
from consistency.history.overview import TREND_LENGTH
from consistency.models.history import Anomaly
from consistency.models.media import JobStatus
from consistency.registry import Severity

WIDTH: Final = 360
HEIGHT: Final = 40
MIN_HEIGHT: Final = 4
MIN_BARS: Final = 30
"""A few scans would be invisible among ninety bars."""
ROW_HEIGHT: Final = 18
AXIS_WIDTH: Final = 600


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle with a CSS class and a title."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str
    scan: int | None = None


def run_bars(runs: Sequence[Any]) -> Iterator[Bar]:
    """Yield a bar per run of a check, newest last. The height is the count; a check that could not run has no count."""
    places = min(TREND_LENGTH, max(MIN_BARS, len(runs)))
    width = WIDTH / places
    highest = max((run.count or 0 for run in runs), default=0) or 1
    for place, run in enumerate(runs, start=places - len(runs)):
        height = round(MIN_HEIGHT + (HEIGHT - MIN_HEIGHT) * (run.count or 0) / highest, 1)
        # Findings of an info check are no warning.
        tone = "info" if run.outcome == "found" and run.severity == Severity.INFO else run.outcome
        result = run.error or (f"{run.count:,} found" if run.count else "clean")
        title = printable(f"{format_minute(run.recorded_at)}: {result}")
        x, y = round(place * width, 1), round(HEIGHT - height, 1)
        yield Bar(x, y, round(width * 0.8, 1), height, tone, title, run.scan_id)


class TimeLine:
    """The jobs of a file and the times of an anomaly on one axis."""

    def __init__(self, jobs: Sequence[Job], anomaly: Anomaly) -> None:
        self.now = timezone.now()
        self.jobs = [job for job in jobs if job.created_at]
        self.undated = [_job_title(job) for job in jobs if not job.created_at]
        """Titles of the jobs without a place on the axis."""
        times = {
            "first seen": anomaly.first_seen,
            "returned": anomaly.appeared_at if anomaly.returned_count else None,
            "last seen": anomaly.last_seen,
            "resolved": anomaly.resolved_at,
        }
        self.times = {title: at for title, at in times.items() if at}
        self.start = min([job.created_at for job in self.jobs if job.created_at] + list(self.times.values()))
        self.seconds = max(1.0, (self.now - self.start).total_seconds())
        self.height = ROW_HEIGHT * max(1, len(self.jobs))

    @property
    def bars(self) -> list[Bar]:
        """Return the jobs, oldest first; a job that has not ended lasts until now."""
        return [self._bar(row, job) for row, job in enumerate(self.jobs)]

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Return position and title of each time of the anomaly."""
        return [(self._x(at), f"{title} {format_minute(at)}") for title, at in self.times.items()]

    def _bar(self, row: int, job: Job) -> Bar:
        x, end = self._x(job.created_at), self._x(job.finished_at or self.now)
        # A CSS class: an unknown word of the database has none.
        tone = job.status if job.status in JobStatus.values else ""
        named = f"{tone} named" if job.named else tone
        return Bar(x, row * ROW_HEIGHT + 3, max(3.0, round(end - x, 1)), ROW_HEIGHT - 6, named, _job_title(job))

    def _x(self, at: datetime | None) -> float:
        elapsed = (at - self.start).total_seconds() if at else 0.0
        return round(min(1.0, max(0.0, elapsed / self.seconds)) * AXIS_WIDTH, 1)


def _job_title(job: Job) -> str:
    """Return the job, its times, and its relation to the file if that is unusual."""
    relations = ["the file's job_id names it"] if job.named else []
    if not job.of_file:
        relations.append(f"it names another file, {job.file_uuid}" if job.file_uuid else "it names no file")
    start = f"from {format_minute(job.created_at)}" if job.created_at else "unknown start"
    end = f"to {format_minute(job.finished_at)}" if job.finished_at else "has not ended"
    related = f" ({'; '.join(relations)})" if relations else ""
    return printable(f"job {job.id}, {job.status or 'no status'}{related}: {start}, {end}")
