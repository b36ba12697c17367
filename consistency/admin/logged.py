"""The admin's log, for others than who acted: who did what, to what, and why."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst

from common.text import printable, printable_lines
from common.times import format_minute
from consistency.admin.background import told
from consistency.admin.base import ViewOnlyAdmin

WORDS: Final = {ADDITION: "Added.", DELETION: "Deleted."}
"""What Django leaves unsaid."""


class PersonFilter(admin.SimpleListFilter):
    title, parameter_name = "who", "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = get_user_model().objects.filter(Exists(LogEntry.objects.filter(user_id=OuterRef("pk"))))
        return [(str(key), printable(name)) for key, name in people.order_by("username").values_list("pk", "username")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
        asked = self.value() or ""
        return queryset.filter(user_id=int(asked)) if asked.isdecimal() else queryset


@admin.register(LogEntry)
class LogEntryAdmin(ViewOnlyAdmin):
    list_display = ("when", "who", "about", "what")
    list_display_links = None
    list_filter = (PersonFilter,)
    list_select_related = ("user", "content_type")
    # As they were begun; their times have no index.
    ordering = ("-pk",)
    sortable_by = ()
    fields = readonly_fields = ("when", "who", "about", "what")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's, named after what it is."""
        return super().changelist_view(request, {"title": "Who did what", **(extra_context or {})})

    @admin.display(description="when")
    def when(self, entry: LogEntry) -> str:
        return format_minute(entry.action_time)

    @admin.display(description="who")
    def who(self, entry: LogEntry) -> str:
        user: Any = entry.user
        return printable(user.get_username())

    @admin.display(description="to what")
    def about(self, entry: LogEntry) -> str:
        """The row, with its page if there is one; of an act on many, what they are."""
        kind: Any = entry.content_type
        if kind and entry.object_id is None:
            model = kind.model_class()
            return capfirst(str(model._meta.verbose_name_plural if model else kind.name))
        name, address = printable(entry.object_repr), entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', address, name) if address else name

    @admin.display(description="what, and why")
    def what(self, entry: LogEntry) -> str:
        return printable_lines(told(entry)) or WORDS.get(entry.action_flag, "Changed.")
