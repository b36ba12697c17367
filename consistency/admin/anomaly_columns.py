"""Columns, order and rows of the list of anomalies."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from common.text import printable
from common.times import ago, format_minute, time_left, times
from consistency.admin.anomaly_page import acknowledgement_text, object_name, suppression_text
from consistency.admin.base import TypedChangeList
from consistency.admin.filters import list_order
from consistency.history.queries import object_key, open_of_same
from consistency.history.serializers import mute_of, needs_review
from consistency.models.history import Anomaly, Mute
from consistency.registry import Severity

MAX_LENGTH: Final = 70
"""Characters of a text in the list. The page of the anomaly shows the whole text."""


class AnomalyChangeList(TypedChangeList):
    """Mark the columns of the default order, which depends on the filters."""

    def _get_default_ordering(self) -> tuple[str, ...]:
        return list_order(self.params)


def fold(anomalies: Iterable[Anomaly], mutes: Sequence[Mute], filters: str) -> list[Anomaly]:
    """Return the rows of a page: further open anomalies of an object are badges of its first open row.

    Each row gets `mute`, the badges `others`, and `filters`, the query string of links that lead back to the list.
    """
    rows: list[Any] = list(anomalies)
    of_object = defaultdict(list)
    for anomaly in open_of_same([row for row in rows if not row.resolved_at], object_key):
        of_object[object_key(anomaly)].append(anomaly)
    shown, folded = [], set[int]()
    for row in (row for row in rows if row.pk not in folded):
        same: list[Any] = [] if row.resolved_at else of_object[object_key(row)]
        for anomaly in (row, *same):
            anomaly.mute = mute_of(anomaly, mutes)
        row.others, row.filters = [anomaly for anomaly in same if anomaly.pk != row.pk], filters
        folded.update(anomaly.pk for anomaly in same)
        shown.append(row)
    return shown


class AnomalyColumns:
    """Columns of AnomalyAdmin."""

    @admin.display(description="object", ordering="name_start")
    def target(self, anomaly: Anomaly) -> str:
        return breakable(object_name(anomaly))

    @admin.display(description="check, and why")
    def rule(self, anomaly: Any) -> str:
        detail, retired = printable(anomaly.detail), " (retired)" if anomaly.retired else ""
        html = '{}{}<br><span class="why" title="{}">{}</span>{}'
        others = format_html_join("", "{}", ((_other_badge(other, anomaly.filters),) for other in anomaly.others))
        return format_html(html, breakable(anomaly.check_name), retired, detail, shorten(detail), others)

    @admin.display(description="severity, state", ordering="severity")
    def state(self, anomaly: Anomaly) -> str:
        severity, until, mute = Severity(anomaly.severity).word, anomaly.acknowledged_until, _mute(anomaly)
        badges = [(severity, "", severity), (anomaly.state, "", anomaly.state)]
        if until and (text := acknowledgement_text(anomaly)):
            badges.append(("suppressed", f"Acknowledged {text}", f"acknowledged, {time_left(until, depth=1)} left"))
        if mute:
            text = suppression_text(mute.by, mute.until, mute.reason)
            badges.append(("suppressed", f"Check muted {text}", f"muted, {time_left(mute.until, depth=1)} left"))
        if needs_review(anomaly, mute):
            badges.append(("review", "Nobody has reviewed the anomaly since the scan that found it", "needs review"))
        if anomaly.assignee:
            badges.append(("person", "Assignee", breakable(printable(anomaly.assignee))))
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
    """Return at most MAX_LENGTH characters of a text: its beginning and its end."""
    half = MAX_LENGTH // 2
    return text if len(text) <= MAX_LENGTH else f"{text[:half]}…{text[1 - half :]}"


def breakable(text: str) -> str:
    """Return the HTML of a text that may break after `_ - . /`; a shortened text shows the whole on hover."""
    parts = re.split(r"(?<=[-_./])", shorten(text))
    html = format_html_join(SafeString("<wbr>"), "{}", ((part,) for part in parts if part))
    return html if len(text) <= MAX_LENGTH else format_html('<span title="{}">{}</span>', text, html)


def _other_badge(anomaly: Anomaly, filters: str) -> str:
    html = '<a class="badge other" href="{}?{}" title="{}">also {}{}</a>'
    url = reverse("admin:consistency_anomaly_change", args=[anomaly.pk])
    return format_html(html, url, filters, printable(anomaly.detail), breakable(anomaly.check_name), _held(anomaly))


def _time(moment: datetime) -> str:
    return format_html('<time title="{}">{}</time>', format_minute(moment), ago(moment, depth=1))


def _mute(anomaly: Anomaly) -> Any:
    return getattr(anomaly, "mute", None)


def _held(anomaly: Anomaly) -> str:
    """Return how an anomaly is suppressed, else an empty text."""
    return " (acknowledged)" if anomaly.is_acknowledged else " (muted)" if _mute(anomaly) else ""
