"""The admin of applied migrations and runtime switches."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from health.models import RuntimeSwitch, SchemaMigration


def health_page(request: HttpRequest) -> TemplateResponse:
    """Show every probe to all staff, as REST does to every user. Django's page requires a permission on a model."""
    context = {"title": "Health", "app_label": "health", "app_list": admin.site.get_app_list(request, "health")}
    return TemplateResponse(request, "admin/health/app_index.html", admin.site.each_context(request) | context)


@admin.register(SchemaMigration)
class SchemaMigrationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only, because the media server owns the rows."""

    list_display = ["filename", "applied_at"]
    search_fields = ["filename"]
    list_filter = ["applied_at"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SchemaMigration | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SchemaMigration | None = None) -> bool:
        return False


class SwitchForm(ModelForm):  # type: ignore[type-arg]
    """A row of the list, whose box Django leaves without a label."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["enabled"].widget.attrs["aria-label"] = f"{self.instance.name} enabled"


@admin.register(RuntimeSwitch)
class RuntimeSwitchAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A switch can be added and changed; its name is fixed and its row stays."""

    list_display = ["name", "enabled", "updated_at"]
    list_editable = ["enabled"]
    list_display_links = ["name"]
    fields = ["name", "enabled", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: RuntimeSwitch | None = None) -> list[str]:
        return ["updated_at"] if obj is None else ["name", "updated_at"]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[SwitchForm]:
        return SwitchForm

    def has_delete_permission(self, request: HttpRequest, obj: RuntimeSwitch | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: RuntimeSwitch, form: "ModelForm[RuntimeSwitch]", change: bool
    ) -> None:
        """Set the time of the change; the column's default is for new rows only."""
        obj.updated_at = timezone.now()
        super().save_model(request, obj, form, change)
