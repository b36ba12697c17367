"""Columns of the list of resolved anomalies."""

from functools import cache
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from common.times import ago, duration, format_minute, times


@cache
def resolved_columns(with_links: bool) -> tuple[Any, ...]:
    """Return the columns. Only a user who may see scans gets a link to the scan."""

    @admin.display(description="resolved")
    def resolved(anomaly: Any) -> str:
        number, scan = anomaly.resolved_scan, ""
        if number:
            url = reverse("admin:consistency_scan_change", args=[number])
            scan = format_html('by <a href="{}">scan {}</a>', url, number) if with_links else f"by scan {number}"
        html = '<time title="{}">{}</time><br><span class="why">{}</span>'
        return format_html(html, format_minute(anomaly.resolved_at), ago(anomaly.resolved_at, depth=1), scan)

    return "target", "rule", resolved, open_for


@admin.display(description="was open for")
def open_for(anomaly: Any) -> str:
    """Return the length of the last open period."""
    length = duration(anomaly.appeared_at, anomaly.resolved_at)
    return format_html('{}<br><span class="why">seen {}</span>', length, times(anomaly.times_seen))
