"""Columns and order of the list of anomalies."""

from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.utils.html import format_html, format_html_join

from common.text import printable
from common.times import ago, format_minute, time_left, times
from consistency.admin.anomaly_page import acknowledgement_text, object_name, suppression_text
from consistency.admin.base import TypedChangeList
from consistency.admin.filters import list_order
from consistency.models.history import Anomaly
from consistency.registry import Severity

MAX_LENGTH: Final = 70
"""Characters of a text in the list. The page of the anomaly shows the whole text."""


class AnomalyChangeList(TypedChangeList):
    """Mark the columns of the default order, which depends on the filters."""

    def _get_default_ordering(self) -> tuple[str, ...]:
        return list_order(self.params)


class AnomalyColumns:
    """Columns of AnomalyAdmin."""

    @admin.display(description="object", ordering="name_start")
    def target(self, anomaly: Anomaly) -> str:
        return shorten(object_name(anomaly))

    @admin.display(description="check, and why")
    def rule(self, anomaly: Anomaly) -> str:
        retired = " (retired)" if anomaly.retired else ""
        html = '{}{}<br><span class="why">{}</span>'
        return format_html(html, anomaly.check_name, retired, shorten(printable(anomaly.detail)))

    @admin.display(description="severity, state", ordering="severity")
    def state(self, anomaly: Anomaly) -> str:
        severity, until, mute = Severity(anomaly.severity).word, anomaly.acknowledged_until, _mute(anomaly)
        badges = [(severity, "", severity), (anomaly.state, "", anomaly.state)]
        if until and (text := acknowledgement_text(anomaly)):
            badges.append(("suppressed", f"Acknowledged {text}", f"acknowledged, {time_left(until, depth=1)} left"))
        if mute:
            text = suppression_text(mute.by, mute.until, mute.reason)
            badges.append(("suppressed", f"Check muted {text}", f"muted, {time_left(mute.until, depth=1)} left"))
        if anomaly.assignee:
            badges.append(("person", "Assignee", shorten(printable(anomaly.assignee))))
        return format_html_join(" ", '<span class="badge {}" title="{}">{}</span>', badges)

    @admin.display(description="first seen", ordering="id")
    def first(self, anomaly: Anomaly) -> str:
        """Order by primary key: a scan gives keys in the order of the first finding."""
        return _time(anomaly.first_seen)

    @admin.display(description="last new", ordering="appeared_event")
    def appeared(self, anomaly: Anomaly) -> str:
        seen = times(anomaly.times_seen)
        return format_html('{}<br><span class="why">seen {}</span>', _time(anomaly.appeared_at), seen)


def shorten(text: str) -> str:
    """Return at most MAX_LENGTH characters of a text."""
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"


def _time(moment: datetime) -> str:
    return format_html('<time title="{}">{}</time>', format_minute(moment), ago(moment, depth=1))


def _mute(anomaly: Anomaly) -> Any:
    return getattr(anomaly, "mute", None)
