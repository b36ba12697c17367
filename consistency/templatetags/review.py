"""Tags and filters of the review pages."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest
from django.urls import reverse

from common.text import printable, printable_lines
from common.times import ago, format_minute, time_left, times
from consistency.admin import charts
from consistency.admin.anomaly_page import event_text, object_name
from consistency.admin.background import add_task_messages
from consistency.history.locks import scan_is_running
from consistency.history.overview import Card, Overview, overview, queue_counts
from consistency.history.periods import open_periods
from consistency.history.tasks import last_failed_scan, running_tasks
from consistency.models.history import BackgroundTask

register = template.Library()
register.filter("printable", printable)
register.filter("intcomma", intcomma)
register.filter("printable_lines", printable_lines)
register.filter("ago", ago)
register.filter("time_left", time_left)
register.filter("minute", format_minute)
register.filter("times", times)
register.filter("object_name", object_name)
register.filter("event_text", event_text)
register.filter("open_periods", open_periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage:
    """The overview of one database with its scan under way."""

    overview: Overview
    databases: list[str]
    running: bool
    """True while any process records a scan."""
    task: BackgroundTask | None
    """Progress of that scan, if a person started the scan in the admin."""
    failed: BackgroundTask | None
    """The last scan that a person started, if its scan was not recorded, and no scan was recorded since."""


@register.simple_tag(takes_context=True)
def overview_page(context: dict[str, Any]) -> OverviewPage:
    """Return the overview, read once per request, and add messages about background tasks."""
    request = context["request"]
    if not hasattr(request, "overview_page"):
        add_task_messages(request)
        request.overview_page = _read(request)
    page: OverviewPage = request.overview_page
    return page


def _read(request: HttpRequest) -> OverviewPage:
    names = list(connections)
    database = request.GET.get("database", DEFAULT_DB_ALIAS)
    if database not in names:
        database = DEFAULT_DB_ALIAS
    review, running = overview(database), scan_is_running(database)
    failed = last_failed_scan(database)
    if failed and failed.finished_at and review.last and review.last.recorded_at > failed.finished_at:
        failed = None
    task = running_tasks(database).first() if running else None
    return OverviewPage(overview=review, databases=names, running=running, task=task, failed=failed)


@register.simple_tag(takes_context=True)
def button_counts(context: dict[str, Any], page: OverviewPage) -> dict[str, int]:
    """Return the number of anomalies behind each button, for the signed-in person."""
    return queue_counts(page.overview, context["request"].user.get_username())


@register.simple_tag
def anomalies_url(page: OverviewPage, **filters: str) -> str:
    """Return the address of the list of anomalies with these filters, on the database of the page."""
    database = {"database": page.overview.database} if len(page.databases) > 1 else {}
    return f"{reverse('admin:consistency_anomaly_changelist')}?{urlencode(filters | database)}"


@register.filter
def run_bars(card: Card) -> list[charts.Bar]:
    """Return a bar per run of a card, oldest first."""
    return list(charts.run_bars(card.runs))
