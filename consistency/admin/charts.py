"""Where things lie in the small pictures: numbers for plain SVG, which templates draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from common.text import printable
from common.times import format_minute
from consistency.history.overview import SCANS, Point
from consistency.history.subject import Job
from consistency.models.history import Anomaly
from consistency.models.media import JobStatus
from consistency.registry import Severity

WIDTH: Final = 360
HEIGHT: Final = 40
FEWEST: Final = 30
"""Cells of a strip, at least: a few scans would be a few dots among ninety."""
ROW: Final = 18
AXIS: Final = 600
"""Width of a time line."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One scan in a strip."""

    x: float
    width: float
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One job on a time line."""

    x: float
    width: float
    y: float
    tone: str
    words: str


def strip(points: Sequence[Point]) -> list[Cell]:
    """One cell per scan, the newest at the right end."""
    start, cell = _grid(points)
    return [
        Cell(round((start + place) * cell, 1), round(cell * 0.8, 1), _tone(point), point.words)
        for place, point in enumerate(points)
    ]


def _tone(point: Point) -> str:
    """Its outcome; what an `info` check found is told, and warns of nothing."""
    return "told" if point.outcome == "found" and point.severity == Severity.INFO else point.outcome


def trend(points: Sequence[Point]) -> str:
    """The counts as the points of a polyline, 0 at the bottom; a check that could not run leaves no point."""
    start, cell = _grid(points)
    counts = [(start + place, point.count) for place, point in enumerate(points) if point.count is not None]
    highest = max((count for _, count in counts), default=0) or 1
    placed = [
        (round((place + 0.5) * cell, 1), round(HEIGHT - 2 - (HEIGHT - 4) * n / highest, 1)) for place, n in counts
    ]
    if len(placed) == 1:
        # One scan is no line yet: a short one, for it to be seen.
        placed.insert(0, (placed[0][0] - cell, placed[0][1]))
    return " ".join(f"{x},{y}" for x, y in placed)


def _grid(points: Sequence[Point]) -> tuple[int, float]:
    """In which cell the oldest is, and how wide one is."""
    cells = min(SCANS, max(FEWEST, len(points)))
    return cells - len(points), WIDTH / cells


def area(line: str) -> str:
    """The polygon between a polyline and the bottom."""
    placed = line.split()
    first, last = placed[0].partition(",")[0], placed[-1].partition(",")[0]
    return f"{first},{HEIGHT - 1} {line} {last},{HEIGHT - 1}"


class TimeLine:
    """A file's jobs and what was seen of one anomaly, on one axis."""

    def __init__(self, jobs: Sequence[Job], anomaly: Anomaly) -> None:
        self.now = timezone.now()
        self.jobs = [job for job in jobs if job.created_at]
        self.undated = [_words(job) for job in jobs if not job.created_at]
        """What is said of the jobs that have no place on it."""
        seen = {
            "first seen": anomaly.first_seen,
            "came back": anomaly.appeared_at if anomaly.returned_count else None,
            "last seen": anomaly.last_seen,
            "resolved": anomaly.resolved_at,
        }
        self.seen = {words: at for words, at in seen.items() if at}
        starts = [job.created_at for job in self.jobs if job.created_at]
        self.start = min(starts + list(self.seen.values()))
        self.seconds = max(1.0, (self.now - self.start).total_seconds())
        self.height = ROW * max(1, len(self.jobs))

    @property
    def bars(self) -> list[Bar]:
        """The jobs, the oldest on top; one that has not ended goes on to now."""
        return [self._bar(row, job) for row, job in enumerate(self.jobs)]

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Where the anomaly was seen, and what happened then."""
        return [(self._x(at), f"{words} {format_minute(at)}") for words, at in self.seen.items()]

    def _bar(self, row: int, job: Job) -> Bar:
        x, end = self._x(job.created_at), self._x(job.finished_at or self.now)
        # The page styles by it: another word is none.
        tone = job.status if job.status in JobStatus.values else ""
        return Bar(x, max(3.0, round(end - x, 1)), row * ROW + 3, f"{tone} named" if job.named else tone, _words(job))

    def _x(self, at: datetime | None) -> float:
        if at is None:
            return 0.0
        return round(min(1.0, max(0.0, (at - self.start).total_seconds() / self.seconds)) * AXIS, 1)


def _words(job: Job) -> str:
    """What is known of it, and what it has to do with the file where that is not plain."""
    ties = ["the file's job_id names it"] if job.named else []
    if not job.of_file:
        ties.append(f"it names another file, {job.file_uuid}" if job.file_uuid else "it names no file")
    started = f"from {format_minute(job.created_at)}" if job.created_at else "since when is not known"
    ended = f"to {format_minute(job.finished_at)}" if job.finished_at else "has not ended"
    tied = f" ({'; '.join(ties)})" if ties else ""
    return printable(f"job {job.id}, {job.status or 'no status'}{tied}: {started}, {ended}")
