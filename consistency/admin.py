"""Files, jobs and what review remembers, to look at: nothing is changed here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from consistency.memory_models import Anomaly, Mute, Scan, ScanCheck
from consistency.models import File, MonitorJob
from consistency.paginator import BoundedPaginator


class ViewOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that another program owns, in tables that may be huge."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(File)
class FileAdmin(ViewOnlyAdmin):
    list_display = ("file_uuid", "file_name", "status", "job_number", "updated_at")
    list_filter = ("status",)
    search_fields = ("file_uuid__startswith", "file_name__startswith")
    search_help_text = "The first characters of a file_uuid or a name; case matters."
    fields = ("file_uuid", "file_name", "file_path", "status", "job_number", "created_at", "updated_at")
    readonly_fields = ("job_number",)

    @admin.display(description="job", empty_value="-")
    def job_number(self, file: File) -> str | None:
        """The number as it stands in the row: the job itself may be gone."""
        if file.job_id is None:
            return None
        address = reverse("admin:consistency_monitorjob_change", args=[file.job_id])
        return format_html('<a href="{}">{}</a>', address, file.job_id)


@admin.register(MonitorJob)
class MonitorJobAdmin(ViewOnlyAdmin):
    list_display = ("id", "file_uuid", "status", "created_at", "finished_at")
    list_filter = ("status",)
    search_fields = ("id__exact", "file_uuid__startswith")
    search_help_text = "A job's number, or the first characters of a file_uuid."


@admin.register(Scan)
class ScanAdmin(ViewOnlyAdmin):
    list_display = ("id", "database", "recorded_at", "status", "complete", "new", "returned", "resolved", "ongoing")
    list_filter = ("complete", "trigger")


@admin.register(ScanCheck)
class ScanCheckAdmin(ViewOnlyAdmin):
    list_display = ("scan_id", "check_name", "outcome", "count", "acknowledged", "muted", "new", "returned", "resolved")
    ordering = ("-id",)


@admin.register(Anomaly)
class AnomalyAdmin(ViewOnlyAdmin):
    list_display = (
        "check_name",
        "severity",
        "object_id",
        "file_name",
        "state",
        "first_seen",
        "last_seen",
        "times_seen",
    )
    list_filter = ("state", "severity")
    search_fields = ("file_uuid__startswith", "file_name__startswith")
    search_help_text = "The first characters of a file_uuid or a name; case matters."


@admin.register(Mute)
class MuteAdmin(ViewOnlyAdmin):
    list_display = ("check_name", "database", "by", "reason", "until", "sticky", "mark", "ended_at", "ended_because")
