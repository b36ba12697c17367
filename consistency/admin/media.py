"""Files and jobs of the media server, read only, with links between a file, its jobs and its anomalies."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from common.text import printable
from consistency.admin.base import ViewOnlyAdmin
from consistency.history.current_state import anomalies_with, current_state
from consistency.models import File, MonitorJob
from consistency.models.history import Anomaly


class MediaAdmin(ViewOnlyAdmin):
    """Show the fields with links to users who may see the linked rows."""

    linked: ClassVar[dict[str, str]]
    """Fields of the page, and the permission that each field needs."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        allowed = [
            name for name, permission in self.linked.items() if request.user.has_perm(f"consistency.{permission}")
        ]
        return [*super().get_fields(request, obj), *allowed]


@admin.register(File)
class FileAdmin(MediaAdmin):
    list_display = ("file_uuid", "file_name", "status", "job_number", "updated_at")
    list_filter = ("status",)
    search_fields = ("file_uuid__startswith", "file_name__startswith")
    search_help_text = "The first characters of a file_uuid or a name; case matters."
    fields = ("file_uuid", "file_name", "file_path", "status", "job_number", "created_at", "updated_at")
    linked: ClassVar = {"jobs": "view_monitorjob", "anomalies": "view_anomaly"}
    readonly_fields = ("job_number", *linked)

    @admin.display(description="job")
    def job_number(self, file: File) -> str:
        """Show the number in the row: the job may not exist."""
        return "-" if file.job_id is None else _link("monitorjob", file.job_id)

    @admin.display(description="jobs that name the file")
    def jobs(self, file: File) -> str:
        # Read as on the page of an anomaly: within a time, since no index serves the jobs of a file.
        now = current_state(Anomaly(database=DEFAULT_DB_ALIAS, object_type="file", file_uuid=str(file.pk)))
        if now.problem:
            return f"could not be read: {now.problem}"
        jobs = [job for job in now.jobs if job.of_file]
        more = now.jobs_in_total - len(jobs)
        items = [(_link("monitorjob", job.id), printable(job.status or "no status")) for job in reversed(jobs)]
        return _list(items + ([("older", f"{more:,}")] if more > 0 else []))

    @admin.display(description="anomalies")
    def anomalies(self, file: File) -> str:
        return _anomalies("file_uuid", str(file.pk))


@admin.register(MonitorJob)
class MonitorJobAdmin(MediaAdmin):
    list_display = ("id", "file_uuid", "status", "created_at", "finished_at")
    list_filter = ("status",)
    search_fields = ("id__exact", "file_uuid__startswith")
    search_help_text = "A job's number, or the first characters of a file_uuid."
    fields = ("id", "file_uuid", "status", "created_at", "updated_at", "finished_at")
    linked: ClassVar = {"file": "view_file", "anomalies": "view_anomaly"}
    readonly_fields = ("id", *linked)

    @admin.display(description="file")
    def file(self, job: MonitorJob) -> str:
        """Link the page of the file, which may not exist."""
        return _link("file", job.file_uuid) if job.file_uuid else "-"

    @admin.display(description="anomalies")
    def anomalies(self, job: MonitorJob) -> str:
        return _anomalies("object_id", str(job.pk))


def _link(model: str, key: Any, text: str = "") -> str:
    address = reverse(f"admin:consistency_{model}_change", args=[quote(key)])
    return format_html('<a href="{}">{}</a>', address, text or printable(str(key)))


def _list(items: Iterable[tuple[str, str]]) -> str:
    return format_html_join(SafeString("<br>"), "{}: {}", items) or "none"


def _anomalies(field: str, value: str) -> str:
    """Return links to the anomalies with an object, open ones first."""
    rows = anomalies_with(field, value, DEFAULT_DB_ALIAS)
    return _list((_link("anomaly", row.pk, row.check_name), f"{row.state}, {printable(row.detail)}") for row in rows)
