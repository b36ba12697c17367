"""Texts of an anomaly, and the context of its page."""

from datetime import datetime
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from common.text import printable, printable_lines
from common.times import format_minute, time_left
from consistency.admin.charts import TimeLine
from consistency.history.current_state import CurrentState, anomalies_of_same_file, current_state, object_sql
from consistency.history.paginator import rows_after
from consistency.history.queries import active_mutes
from consistency.history.serializers import mute_of, needs_review
from consistency.models.choices import EventKind
from consistency.models.history import Anomaly, AnomalyEvent
from consistency.registry import CHECKS, Severity

MAX_EVENTS: Final = 100


def page_context(anomaly: Anomaly) -> dict[str, Any]:
    """Return the context that depends on the anomaly alone."""
    now, mute = current_state(anomaly), mute_of(anomaly, active_mutes())
    name = printable(now.name) if now.name and now.name.strip() else object_name(anomaly)
    check = CHECKS.get(anomaly.check_name)
    external = check is not None and check.external and not anomaly.retired
    return {
        "anomaly": anomaly,
        "title": f"{anomaly.check_name.replace('_', ' ').capitalize()}: {name}",
        "check": check,
        "severity": Severity(anomaly.severity).word,
        "acknowledged": acknowledgement_text(anomaly),
        "mute": mute,
        "needs_review": needs_review(anomaly, mute),
        "muted": mute and suppression_text(mute.by, mute.until, mute.reason),
        "now": now,
        "comparisons": [] if now.problem else _comparisons(anomaly, now),
        "line": TimeLine(now.jobs, anomaly) if now.jobs else None,
        "events": anomaly.events.exclude(kind=EventKind.COMMENTED)[:MAX_EVENTS],
        "statements": object_sql(anomaly),
        "command": _scan_command(anomaly) if external else "",
        "same_file": anomalies_of_same_file(anomaly),
    }


def neighbours(anomaly: Anomaly, anomalies: QuerySet[Anomaly]) -> dict[str, Any]:
    """Return the anomalies before and after this one in a list; none if only the list has the column of its order."""
    row = anomalies.filter(pk=anomaly.pk).first() or anomaly
    if not all(hasattr(row, str(name).lstrip("-")) for name in anomalies.query.order_by):
        return {}
    return {
        "newer": next(iter(rows_after(row, anomalies, 1, backwards=True)), None),
        "older": next(iter(rows_after(row, anomalies, 1)), None),
    }


def object_name(anomaly: Anomaly) -> str:
    """Return the name of the file, or type and key of another object, such as `job 17 of news.mp4`."""
    name, key = anomaly.file_name or "", f"{anomaly.object_type} {anomaly.object_id}"
    if not name.strip():
        return printable(key)
    return printable(name if anomaly.object_type == "file" else f"{key} of {name}")


def acknowledgement_text(anomaly: Anomaly) -> str:
    """Return author, end, reason and category of the acknowledgement in force, else an empty text."""
    until = anomaly.acknowledged_until
    if until is None or not anomaly.is_acknowledged:
        return ""
    category = f" ({anomaly.get_acknowledged_category_display().lower()})" if anomaly.acknowledged_category else ""
    return suppression_text(anomaly.acknowledged_by or "", until, f"{anomaly.acknowledged_reason}{category}")


def suppression_text(by: str, until: datetime, reason: str) -> str:
    """Return author, end and reason of a suppression."""
    return f"by {printable(by)} until {format_minute(until)}, {time_left(until)} left: {printable(reason)}"


def event_text(event: AnomalyEvent) -> str:
    """Return kind, scan and text of an event, such as `assigned to ann: on call`."""
    kind = event.get_kind_display() + (f" by scan {event.scan}" if event.scan else "")
    # The texts of these two kinds continue the sentence.
    separator = " " if event.kind in (EventKind.ACKNOWLEDGED, EventKind.ASSIGNED) else ": "
    return printable_lines(f"{kind}{separator}{event.text}" if event.text else kind)


def _comparisons(anomaly: Anomaly, now: CurrentState) -> list[tuple[str, str | None, str | None]]:
    """Return name, value of the last scan and current value of each value that changed."""
    values: list[tuple[str, str | None, str | None]] = []
    if now.breaks_rule is not None:
        values.append(("detail", anomaly.detail, now.detail if now.breaks_rule else "no longer breaks the rule"))
    if now.file_uuid:
        values += [("file's status", anomaly.status, now.status), ("file's name", anomaly.file_name, now.file_name)]
    missing = "-" if now.file_exists else "no such file"
    return [(name, then, missing if value is None else value) for name, then, value in values if then != value]


def _scan_command(anomaly: Anomaly) -> str:
    option = "" if anomaly.database == DEFAULT_DB_ALIAS else f" --database {anomaly.database}"
    return f"manage.py check_consistency {anomaly.check_name}{option}"
