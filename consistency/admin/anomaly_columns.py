"""Columns of the list of anomalies."""

from typing import Any, Final

from django.contrib import admin
from django.utils.html import format_html, format_html_join

from common.text import printable
from common.times import ago, format_minute, time_left, times
from consistency.admin.anomaly_page import acknowledgement_text, object_name, suppression_text
from consistency.models.history import Anomaly
from consistency.registry import Severity

MAX_LENGTH: Final = 70
"""Characters of a text in the list. The page of the anomaly shows the whole text."""


class AnomalyColumns:
    """Columns of AnomalyAdmin."""

    @admin.display(description="object")
    def target(self, anomaly: Anomaly) -> str:
        return shorten(object_name(anomaly))

    @admin.display(description="check, and why")
    def rule(self, anomaly: Anomaly) -> str:
        retired = " (retired)" if anomaly.retired else ""
        html = '{}{}<br><span class="why">{}</span>'
        return format_html(html, anomaly.check_name, retired, shorten(printable(anomaly.detail)))

    @admin.display(description="state")
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

    @admin.display(description="appeared")
    def appeared(self, anomaly: Anomaly) -> str:
        text = f"seen {times(anomaly.times_seen)}"
        if anomaly.returned_count:
            text = f"first seen {ago(anomaly.first_seen, depth=1)}, {text}"
        html = '<time title="{}">{}</time><br><span class="why">{}</span>'
        return format_html(html, format_minute(anomaly.appeared_at), ago(anomaly.appeared_at, depth=1), text)


def shorten(text: str) -> str:
    """Return at most MAX_LENGTH characters of a text."""
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"


def _mute(anomaly: Anomaly) -> Any:
    return getattr(anomaly, "mute", None)
