"""Recorded scans: the list, the page of one scan, and the button that starts a scan."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from common.text import printable
from common.times import format_minute
from consistency.admin.background import start_scan
from consistency.admin.base import ReviewAdmin, overview_url, require
from consistency.admin.filters import DatabaseFilter
from consistency.models.history import Scan, ScanCheck
from consistency.scan.selection import default_checks

VIEW: Final = "consistency.view_anomaly"
CHANGES: Final = ("new", "returned", "resolved")


def _change(of: Scan | ScanCheck, word: str, with_link: bool) -> str:
    """Return one of the numbers CHANGES with a link to the anomalies, also to those suppressed or changed since."""
    if not (count := getattr(of, word)) or not with_link:
        return f"{count:,}"
    query = {"state": "all", "scan": f"{of.pk}-{word}"}
    if isinstance(of, ScanCheck):
        query |= {"check": of.check_name, "scan": f"{of.scan_id}-{word}"}
    url = reverse("admin:consistency_anomaly_changelist", query=query)
    return format_html('<a href="{}">{}</a>', url, f"{count:,}")


def _changes(of: Scan | ScanCheck, with_links: bool) -> list[tuple[str, str]]:
    return [(word, _change(of, word, with_links)) for word in CHANGES]


@cache
def _change_column(word: str, with_links: bool) -> Callable[[Scan], str]:
    @admin.display(description=word)
    def column(scan: Scan) -> str:
        return _change(scan, word, with_links)

    column.__name__ = word
    return column


@admin.register(Scan)
class ScanAdmin(ReviewAdmin):
    list_display = ("scan", "outcome", *CHANGES, "who")
    list_filter = ("complete", "status", "trigger", DatabaseFilter)

    @admin.display(description="scan")
    def scan(self, scan: Scan) -> str:
        database = "" if scan.database == DEFAULT_DB_ALIAS else f" of {scan.database}"
        return format_html('{}{}<br><span class="why">{}</span>', scan.pk, database, format_minute(scan.recorded_at))

    @admin.display(description="outcome")
    def outcome(self, scan: Scan) -> str:
        word = scan.status if scan.complete else "incomplete"
        html = '<span class="badge {}">{}</span><br><span class="why">{}</span>'
        return format_html(html, word, word, duration_text(scan.duration_ms))

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Link the numbers for users who may see anomalies."""
        with_links = request.user.has_perm(VIEW)
        return [_change_column(name, with_links) if name in CHANGES else name for name in self.list_display]

    @admin.display(description="by")
    def who(self, scan: Scan) -> str:
        return format_html('{}<br><span class="why">{}</span>', printable(scan.actor), scan.trigger)

    def get_urls(self) -> list[Any]:
        return [
            path("now/", self.admin_site.admin_view(self.now), name="consistency_scan_now"),
            *super().get_urls(),
        ]

    def now(self, request: HttpRequest) -> HttpResponseBase:
        """Start a scan of the default checks."""
        require(request, "scan_now")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        database = request.POST.get("database", DEFAULT_DB_ALIAS)
        if database not in connections:
            raise Http404
        start_scan(request, default_checks(), database)
        return HttpResponseRedirect(overview_url(request, database))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the result of each check."""
        require(request, "view_scan")
        scan = self.get_object(request, object_id)
        if scan is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        same_database, links = Scan.objects.filter(database=scan.database), request.user.has_perm(VIEW)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Scan {scan.pk}",
            "media": self.media,
            "scan": scan,
            "duration": duration_text(scan.duration_ms),
            "changes": _changes(scan, links),
            "checks": [
                (check, _changes(check, links), duration_text(check.duration_ms)) for check in scan.checks.all()
            ],
            "newer": same_database.filter(pk__gt=scan.pk).order_by("pk").first(),
            "older": same_database.filter(pk__lt=scan.pk).order_by("-pk").first(),
        }
        return TemplateResponse(request, "admin/consistency/scan/page.html", context)


def duration_text(milliseconds: int) -> str:
    """Return a duration for people."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
