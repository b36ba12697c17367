"""What the page of one anomaly shows, gathered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from common.text import printable
from common.times import times
from consistency.admin.background import told
from consistency.admin.charts import TimeLine
from consistency.admin.words import agreed
from consistency.history.formats import acknowledged_until
from consistency.history.kinds import Listed
from consistency.history.lists import in_force
from consistency.history.order import after, before
from consistency.history.silence import MEMORY
from consistency.history.subject import Subject, of_same_file, statements, subject
from consistency.models.history import Anomaly
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
    comparable: bool = True
    """Whether both are known."""

    @property
    def differs(self) -> bool:
        """Whether it has changed."""
        return self.comparable and self.then != self.now


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
        "command": _command(anomaly),
        "others": of_same_file(anomaly),
        "newer": next(iter(Listed(before(listed, anomaly)).rows(0, 1)), None),
        "older": next(iter(Listed(after(listed, anomaly)).rows(0, 1)), None),
    }


def named(anomaly: Anomaly) -> str:
    """What people call its object: the file's name, or what it is and its key."""
    name = anomaly.file_name or ""
    return printable(name if name.strip() else f"{anomaly.object_type} {anomaly.object_id}")


def _acknowledged(anomaly: Anomaly) -> str:
    """By whom, how long and why; nothing if it is not."""
    held = acknowledged_until(anomaly)
    return "" if held is None else agreed(anomaly.acknowledged_by or "", held, anomaly.acknowledged_reason or "")


def _mute(anomaly: Anomaly) -> Any:
    of_it = (anomaly.database, anomaly.check_name)
    return next((mute for mute in in_force() if (mute.database, mute.check_name) == of_it), None)


def _compared(anomaly: Anomaly, now: Subject) -> list[Compared]:
    """Side by side."""
    gone = "-" if now.there else "no such file"
    told = [
        Compared("file's status", anomaly.status, now.status, gone),
        Compared("file's name", anomaly.file_name, now.file_name, gone),
    ]
    known = [value for value in told if value.then is not None or value.now is not None]
    return _why(anomaly, now) + (known if now.file_uuid else [])


def _why(anomaly: Anomaly, now: Subject) -> list[Compared]:
    """Why it breaks the rule; of truth outside PostgreSQL a scan alone can tell, but not whether its row is there."""
    check = CHECKS.get(anomaly.check_name)
    if now.holds is not None:
        return [Compared("why", anomaly.detail, now.detail, "no longer breaks the rule")]
    if check is None or not check.outside:
        return []
    why = Compared("why", anomaly.detail, None, "only a scan of the whole check can tell", comparable=False)
    rows = {True: "there is one", False: "there is none"}
    row = [] if now.row is None else [Compared("row in the database", "not kept", rows[now.row], comparable=False)]
    return [why, *row]


def _command(anomaly: Anomaly) -> str:
    """How to look again where no SQL can: a scan of the check, on a terminal."""
    check = CHECKS.get(anomaly.check_name)
    if check is None or not check.outside or anomaly.retired:
        return ""
    of = "" if anomaly.database == MEMORY else f" --database {anomaly.database}"
    return f"manage.py check_consistency {anomaly.check_name}{of}"


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
