"""Scans: a list, a page for each with what every check came to, and a new one."""

from typing import Any

from django.contrib import admin
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from common.text import printable
from common.times import format_minute
from consistency.admin.base import ReviewAdmin, overview_address, require
from consistency.admin.filters import DatabaseFilter
from consistency.admin.scanning import scan_now
from consistency.history.silence import MEMORY
from consistency.models.history import Scan
from consistency.scan.selection import chosen


@admin.register(Scan)
class ScanAdmin(ReviewAdmin):
    list_display = ("scan", "outcome", "appeared", "came_back", "resolved", "who")
    list_filter = ("complete", "status", "trigger", DatabaseFilter)
    sortable_by = ()

    @admin.display(description="scan")
    def scan(self, scan: Scan) -> str:
        of = "" if scan.database == MEMORY else f" of {scan.database}"
        return format_html('{}{}<br><span class="why">{}</span>', scan.pk, of, format_minute(scan.recorded_at))

    @admin.display(description="outcome")
    def outcome(self, scan: Scan) -> str:
        word = scan.status if scan.complete else "incomplete"
        words = '<span class="badge {}">{}</span><br><span class="why">{}</span>'
        return format_html(words, word, word, seconds(scan.duration_ms))

    @admin.display(description="new")
    def appeared(self, scan: Scan) -> str:
        return _listed(scan, scan.new, "new")

    @admin.display(description="returned")
    def came_back(self, scan: Scan) -> str:
        return _listed(scan, scan.returned, "returned")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Numbers that lead to what they count, for who may see that."""
        if request.user.has_perm("consistency.view_anomaly"):
            return list(self.list_display)
        return [{"appeared": "new", "came_back": "returned"}.get(name, name) for name in self.list_display]

    @admin.display(description="by")
    def who(self, scan: Scan) -> str:
        return format_html('{}<br><span class="why">{}</span>', printable(scan.actor), scan.trigger)

    def get_urls(self) -> list[Any]:
        return [
            path("now/", self.admin_site.admin_view(self.now), name="consistency_scan_now"),
            *super().get_urls(),
        ]

    def now(self, request: HttpRequest) -> HttpResponseBase:
        """Scan now: one at a time, on in the background."""
        require(request, "scan_now")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        database = request.POST.get("database", MEMORY)
        if database not in connections:
            raise Http404
        scan_now(request, chosen(), database)
        return HttpResponseRedirect(overview_address(request, database))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """What it came to, check by check."""
        require(request, "view_scan")
        scan = self.get_object(request, object_id)
        if scan is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        same = Scan.objects.filter(database=scan.database)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Scan {scan.pk}",
            "media": self.media,
            "scan": scan,
            "took": seconds(scan.duration_ms),
            "checks": [(check, seconds(check.duration_ms)) for check in scan.checks.all()],
            "newer": same.filter(pk__gt=scan.pk).order_by("pk").first(),
            "older": same.filter(pk__lt=scan.pk).order_by("-pk").first(),
        }
        return TemplateResponse(request, "admin/consistency/scan/page.html", context)


def _listed(scan: Scan, count: int, kind: str) -> str:
    """A number that leads to the anomalies which it counts, those too that were silenced or resolved since."""
    address = f"{reverse('admin:consistency_anomaly_changelist')}?state=all&scan={scan.pk}-{kind}"
    return format_html('<a href="{}">{}</a>', address, count) if count else str(count)


def seconds(milliseconds: int) -> str:
    """A length of time, for people."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
