"""Context of the page of one anomaly."""

from dataclasses import dataclass
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from common.text import printable
from common.times import format_minute, time_left
from consistency.admin.charts import TimeLine
from consistency.history.current_state import CurrentState, anomalies_of_same_file, current_state, object_sql
from consistency.history.queries import active_mutes
from consistency.history.serializers import mute_of
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Severity

MAX_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value of the last scan beside the current value."""

    name: str
    then: str | None
    now: str | None
    missing: str = "-"
    """Text for a missing current value."""
    comparable: bool = True
    """False if a value is unknown."""

    @property
    def differs(self) -> bool:
        return self.comparable and self.then != self.now


def page_context(anomaly: Anomaly) -> dict[str, Any]:
    """Return the context that depends on the anomaly alone."""
    now, mute = current_state(anomaly), mute_of(anomaly, active_mutes())
    return {
        "anomaly": anomaly,
        "name": object_name(anomaly),
        "check": CHECKS.get(anomaly.check_name),
        "severity": Severity(anomaly.severity).word,
        "acknowledged": acknowledgement_text(anomaly),
        "mute": mute,
        "muted": mute and suppression_text(mute.by, mute.until, mute.reason),
        "now": now,
        "comparisons": [] if now.problem else _comparisons(anomaly, now),
        "line": TimeLine(now.jobs, anomaly) if now.jobs else None,
        "events": anomaly.events.all()[:MAX_EVENTS],
        "statements": object_sql(anomaly),
        "command": _scan_command(anomaly),
        "same_file": anomalies_of_same_file(anomaly),
    }


def neighbours(anomaly: Anomaly, anomalies: QuerySet[Anomaly], order: str) -> dict[str, Any]:
    """Return the anomalies before and after this one in a list by the unique column `order`, highest first."""
    position = getattr(anomaly, order)
    if position is None:
        return {}
    return {
        "newer": anomalies.filter(**{f"{order}__gt": position}).order_by(order).first(),
        "older": anomalies.filter(**{f"{order}__lt": position}).order_by(f"-{order}").first(),
    }


def object_name(anomaly: Anomaly) -> str:
    """Return the name of the file, or the type and key of the object."""
    name = anomaly.file_name or ""
    return printable(name if name.strip() else f"{anomaly.object_type} {anomaly.object_id}")


def acknowledgement_text(anomaly: Anomaly) -> str:
    """Return author, end and reason of the acknowledgement in force, else an empty text."""
    until = anomaly.acknowledged_until
    if until is None or not anomaly.is_acknowledged:
        return ""
    return suppression_text(anomaly.acknowledged_by or "", until, anomaly.acknowledged_reason or "")


def suppression_text(by: str, until: Any, reason: str) -> str:
    """Return author, end and reason of a suppression."""
    return f"by {printable(by)} until {format_minute(until)}, {time_left(until)} left: {printable(reason)}"


def _comparisons(anomaly: Anomaly, now: CurrentState) -> list[Comparison]:
    missing = "-" if now.file_exists else "no such file"
    file_values = [
        Comparison("file's status", anomaly.status, now.status, missing),
        Comparison("file's name", anomaly.file_name, now.file_name, missing),
    ]
    known = [value for value in file_values if value.then is not None or value.now is not None]
    return _rule_comparison(anomaly, now) + (known if now.file_uuid else [])


def _rule_comparison(anomaly: Anomaly, now: CurrentState) -> list[Comparison]:
    """Compare the detail. Only a scan can run an external check, but the row of the object can be read."""
    check = CHECKS.get(anomaly.check_name)
    if now.breaks_rule is not None:
        return [Comparison("detail", anomaly.detail, now.detail, "no longer breaks the rule")]
    if check is None or not check.external:
        return []
    detail = Comparison("detail", anomaly.detail, None, "known only after a scan of the check", comparable=False)
    if now.row_exists is None:
        return [detail]
    exists = "exists" if now.row_exists else "does not exist"
    return [detail, Comparison("row in the database", "not stored", exists, comparable=False)]


def _scan_command(anomaly: Anomaly) -> str:
    """Return the command that scans an external check; empty if SQL can show the finding."""
    check = CHECKS.get(anomaly.check_name)
    if check is None or not check.external or anomaly.retired:
        return ""
    option = "" if anomaly.database == DEFAULT_DB_ALIAS else f" --database {anomaly.database}"
    return f"manage.py check_consistency {anomaly.check_name}{option}"
