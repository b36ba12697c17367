"""The admin of what health reads: migrations to look at, switches to switch."""

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from health.models import RuntimeSwitch, SchemaMigration


@admin.register(SchemaMigration)
class SchemaMigrationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: the media server owns these rows."""

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


@admin.register(RuntimeSwitch)
class RuntimeSwitchAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Each change is logged with who made it, as Django's admin does; a name is chosen once, from the vocabulary."""

    list_display = ["name", "enabled", "updated_at"]
    list_editable = ["enabled"]
    list_display_links = ["name"]
    fields = ["name", "enabled", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: RuntimeSwitch | None = None) -> list[str]:
        return ["updated_at"] if obj is None else ["name", "updated_at"]

    def has_delete_permission(self, request: HttpRequest, obj: RuntimeSwitch | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: RuntimeSwitch, form: "ModelForm[RuntimeSwitch]", change: bool
    ) -> None:
        """Note when: the column's default holds for new rows only."""
        obj.updated_at = timezone.now()
        super().save_model(request, obj, form, change)
