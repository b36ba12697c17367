"""Files and jobs of the media server, read only."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from consistency.admin.base import ViewOnlyAdmin
from consistency.models import File, MonitorJob


@admin.register(File)
class FileAdmin(ViewOnlyAdmin):
    list_display = ("file_uuid", "file_name", "status", "job_number", "updated_at")
    list_filter = ("status",)
    search_fields = ("file_uuid__startswith", "file_name__startswith")
    search_help_text = "The first characters of a file_uuid or a name; case matters."
    fields = ("file_uuid", "file_name", "file_path", "status", "job_number", "created_at", "updated_at")
    readonly_fields = ("job_number",)

    @admin.display(description="job")
    def job_number(self, file: File) -> str:
        """Show the number in the row: the job may not exist."""
        if file.job_id is None:
            return "-"
        address = reverse("admin:consistency_monitorjob_change", args=[file.job_id])
        return format_html('<a href="{}">{}</a>', address, file.job_id)


@admin.register(MonitorJob)
class MonitorJobAdmin(ViewOnlyAdmin):
    list_display = ("id", "file_uuid", "status", "created_at", "finished_at")
    list_filter = ("status",)
    search_fields = ("id__exact", "file_uuid__startswith")
    search_help_text = "A job's number, or the first characters of a file_uuid."
