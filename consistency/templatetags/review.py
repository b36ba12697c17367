"""The overview for the admin's page about consistency."""

from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from common.text import printable, printable_lines
from common.times import ago, format_minute, time_left
from consistency.admin import charts, scan_thread
from consistency.admin.filters import names
from consistency.history.overview import Card, Overview, overview
from consistency.history.silence import MEMORY

register = template.Library()


@register.simple_tag(takes_context=True)
def consistency_overview(context: dict[str, Any]) -> Overview:
    """How the data stands on the database that the address names, or the default one."""
    return overview(_database(context))


@register.simple_tag(takes_context=True)
def scan_progress(context: dict[str, Any]) -> dict[str, Any] | None:
    """Where the scan is that runs now, if one does; asked once a page, whose parts must agree."""
    known: dict[str, Any] = context["request"].__dict__
    if "scan_progress" not in known:
        known["scan_progress"] = scan_thread.progress(_database(context))
    progress: dict[str, Any] | None = known["scan_progress"]
    return progress


@register.simple_tag
def scan_outcome(review: Overview) -> dict[str, Any] | None:
    """How the last scan from this page ended, if that was a moment ago and none was recorded since."""
    return scan_thread.outcome(review.database, review.last)


@register.simple_tag(takes_context=True)
def databases(context: dict[str, Any]) -> list[str]:
    """All that can be scanned, and those of the past."""
    return names(context["request"]).databases


@register.simple_tag(takes_context=True)
def rows(context: dict[str, Any], database: str, **filters: str) -> str:
    """The address of the list of anomalies with these filters, on this database."""
    of = {"database": database} if len(databases(context)) > 1 else {}
    return f"{reverse('admin:consistency_anomaly_changelist')}?{urlencode(filters | of)}"


register.filter("printable", printable)
register.filter("printable_lines", printable_lines)
register.filter("ago", ago)
register.filter("left", time_left)
register.filter("minute", format_minute)


@register.filter
def trend(card: Card) -> str:
    """Its counts, as the points of a line."""
    return charts.trend(card.points)


@register.filter
def foot(points: str) -> str:
    """The area under such a line."""
    return charts.area(points)


@register.filter
def strip(card: Card) -> list[charts.Cell]:
    """Its scans, as cells."""
    return charts.strip(card.points)


def _database(context: dict[str, Any]) -> str:
    asked: str = context["request"].GET.get("database", MEMORY)
    return asked if asked in databases(context) else MEMORY
