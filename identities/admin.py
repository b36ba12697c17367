"""The admin of identities, read-only because the media server owns the rows."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common.text import printable
from consistency.admin import ViewOnlyAdmin
from consistency.expressions import text
from identities.models import Identity


@admin.register(Identity)
class IdentityAdmin(ViewOnlyAdmin):
    list_display = ("uuid", "name", "source", "is_active", "updated_at")
    list_filter = ("source", "is_active")
    search_fields = ("uuid__startswith", "name__startswith")
    search_help_text = "The first characters of a uuid or a name; case matters."
    fields = ("uuid", "name", "source", "metadata_text", "is_active", "created_at", "updated_at")
    readonly_fields = ("metadata_text",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Identity]:
        """Read metadata as text, because the model cannot read a column of type json instead of jsonb."""
        rows: QuerySet[Identity] = super().get_queryset(request)
        return rows.defer("metadata").annotate(metadata_text=text("metadata"))

    @admin.display(description="metadata", empty_value="-")
    def metadata_text(self, identity: Identity) -> str | None:
        """Return the JSON document in PostgreSQL's format."""
        document: str | None = identity.metadata_text  # type: ignore[attr-defined]  # annotated above
        return document and printable(document)
