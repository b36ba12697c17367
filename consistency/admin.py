"""Files and jobs, to look at: the rows are the media server's."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import DataError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from consistency.models import File, MonitorJob
from consistency.paginator import BoundedPaginator


class TolerantChangeList(ChangeList):
    """No rows where a column's type (uuid, enum) does not know the word that the address asks for."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            # In a savepoint: an error would end a transaction around it.
            with transaction.atomic(using=self.queryset.db):
                super().get_results(request)
        except DataError:
            self.queryset = self.queryset.none()
            super().get_results(request)


class ViewOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that another program owns, in tables that may be huge."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Each would count the whole table.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TolerantChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; None where no row can have this key, as a word in a column of type uuid."""
        try:
            with transaction.atomic(using=self.get_queryset(request).db):
                return super().get_object(request, object_id, from_field)
        except DataError:
            return None

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
