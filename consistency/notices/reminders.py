"""Remind people of acknowledgements and mutes that end within a day. Derived from the times of the scans."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, F, Q
from django.utils import timezone

from common.text import printable
from common.times import format_instant, format_minute
from consistency.models.history import OPEN, Anomaly, Mute, Scan

AHEAD: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """Suppressions that end within a day, and that the notice of no earlier scan named."""

    acknowledgements: dict[str, int]
    """Number by author."""
    mutes: Sequence[Mute]

    def __bool__(self) -> bool:
        return bool(self.acknowledgements or self.mutes)

    def as_dict(self) -> dict[str, Any]:
        """Return the reminder for programs."""
        mutes = [{"check": mute.check_name, "by": mute.by, "until": format_instant(mute.until)} for mute in self.mutes]
        acknowledgements = [{"by": by, "count": number} for by, number in self.acknowledgements.items()]
        return {"acknowledgements": acknowledgements, "mutes": mutes}

    @property
    def parts(self) -> list[str]:
        """Return the parts of a subject: `3 acknowledgements end within a day`."""
        numbers = {"acknowledgement": sum(self.acknowledgements.values()), "mute": len(self.mutes)}
        return [f"{_counted(number, word)} within a day" for word, number in numbers.items() if number]

    @property
    def lines(self) -> list[str]:
        """Return the reminder for people."""
        lines = [
            f"{_counted(n, 'acknowledgement')} soon, by {printable(by)}" for by, n in self.acknowledgements.items()
        ]
        for mute in self.mutes:
            lines.append(f"the mute of {mute.check_name} by {printable(mute.by)} ends at {format_minute(mute.until)}")
        return [*lines, ""] if lines else []


def reminder_of(scan: int, database: str) -> Reminder:
    """Return the suppressions whose last day began after the previous recorded scan of the database."""
    scans = Scan.objects.filter(database=database)
    times = scans.values_list("recorded_at", flat=True)
    # A dry run has no row.
    now = times.filter(pk=scan).first() or timezone.now()
    previous = times.filter(pk__lt=scan).order_by("-pk").first()
    start = max(now, previous + AHEAD) if previous else now

    def due(end: str, begin: str) -> Q:
        # A suppression of at most one day needs no reminder: its author has just chosen the end.
        period = Q((f"{end}__gt", start), (f"{end}__lte", now + AHEAD), (f"{end}__gt", F(begin) + AHEAD))
        return period & Q(database=database)

    anomalies = Anomaly._base_manager.filter(OPEN, due("acknowledged_until", "acknowledged_at"))
    authors = anomalies.order_by("acknowledged_by").values_list("acknowledged_by").annotate(number=Count("pk"))
    mutes = Mute.objects.filter(due("until", "created_at"), ended_at__isnull=True).order_by("until")
    return Reminder(acknowledgements=dict(authors), mutes=list(mutes))


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{' ends' if number == 1 else 's end'}"
