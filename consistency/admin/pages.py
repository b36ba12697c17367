"""What the page of one anomaly shows, gathered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from consistency.admin.background import told
from consistency.admin.charts import TimeLine
from consistency.admin.words import agreed, times
from consistency.legible import harmless
from consistency.memory.formats import acknowledged_until
from consistency.memory.kinds import Listed
from consistency.memory.lists import in_force
from consistency.memory.order import after, before
from consistency.memory.subject import Subject, of_same_file, statements, subject
from consistency.models.memory import Anomaly
from consistency.registry import CHECKS, Severity


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to it."""

    at: datetime
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One value, then and now."""

    name: str
    then: str | None
    now: str | None
    missing: str = "-"
    """What to say where there is none now."""

    @property
    def differs(self) -> bool:
        """Whether it has changed."""
        return self.then != self.now


def anomaly_context(anomaly: Anomaly, listed: QuerySet[Anomaly]) -> dict[str, Any]:
    """All that the page needs, beside what is the same on every page."""
    now, mute = subject(anomaly), _mute(anomaly)
    return {
        "anomaly": anomaly,
        "name": named(anomaly),
        "check": CHECKS.get(anomaly.check_name),
        "severity": Severity(anomaly.severity).word,
        "acknowledged": _acknowledged(anomaly),
        "mute": mute,
        "muted": mute and agreed(mute.by, mute.until, mute.reason),
        "now": now,
        "compared": [] if now.problem else _compared(anomaly, now),
        "line": TimeLine(now.jobs, anomaly) if now.jobs else None,
        "events": _events(anomaly),
        "statements": statements(anomaly),
        "others": of_same_file(anomaly),
        "newer": next(iter(Listed(before(listed, anomaly)).rows(0, 1)), None),
        "older": next(iter(Listed(after(listed, anomaly)).rows(0, 1)), None),
    }


def named(anomaly: Anomaly) -> str:
    """What people call its object: the file's name, or what it is and its key."""
    name = anomaly.file_name or ""
    return harmless(name if name.strip() else f"{anomaly.object_type} {anomaly.object_id}")


def _acknowledged(anomaly: Anomaly) -> str:
    """By whom, how long and why; nothing if it is not."""
    held = acknowledged_until(anomaly)
    return "" if held is None else agreed(anomaly.acknowledged_by or "", held, anomaly.acknowledged_reason or "")


def _mute(anomaly: Anomaly) -> Any:
    of_it = (anomaly.database, anomaly.check_name)
    return next((mute for mute in in_force() if (mute.database, mute.check_name) == of_it), None)


def _compared(anomaly: Anomaly, now: Subject) -> list[Compared]:
    """Side by side; of truth outside PostgreSQL, no sentence can be had for one row."""
    why = Compared("why", anomaly.detail, now.detail, "no longer breaks the rule")
    gone = "-" if now.there else "no such file"
    values = [
        Compared("file's status", anomaly.status, now.status, gone),
        Compared("file's name", anomaly.file_name, now.file_name, gone),
    ]
    known = [value for value in values if value.then is not None or value.now is not None]
    return ([why] if now.holds is not None else []) + (known if now.file_uuid else [])


def _events(anomaly: Anomaly) -> list[Event]:
    """The newest first: what scans saw, and what people did."""
    kind = ContentType.objects.get_for_model(Anomaly)
    about = Q(content_type=kind, object_id=str(anomaly.pk)) | Q(pk__in=anomaly.acts)
    logged = LogEntry.objects.filter(about).select_related("user")[:100]
    events = [Event(entry.action_time, str(entry.user), told(entry)) for entry in logged]
    back = f"; came back {times(anomaly.returned_count)}" if anomaly.returned_count else ""
    seen = f"Last seen by scan {anomaly.last_scan}, {times(anomaly.times_seen)} in all{back}"
    events += [Event(anomaly.last_seen, "", seen), Event(anomaly.first_seen, "", "First seen")]
    if anomaly.returned_count:
        events.append(Event(anomaly.appeared_at, "", f"Came back: scan {anomaly.appeared_scan} found it again"))
    if anomaly.resolved_at:
        events.append(Event(anomaly.resolved_at, "", "Resolved: a scan of the whole check did not find it any more"))
    return sorted(events, key=lambda event: event.at, reverse=True)
