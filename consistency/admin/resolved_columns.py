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
        html = '<time title="{}">{}</time> {}<br><span class="why">open for {}, seen {}</span>'
        at, open_for = anomaly.resolved_at, duration(anomaly.appeared_at, anomaly.resolved_at)
        return format_html(html, format_minute(at), ago(at, depth=1), scan, open_for, times(anomaly.times_seen))

    return "target", "rule", resolved
