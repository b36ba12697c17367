"""Events by people: who did what to which anomaly, and why."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from common.text import printable
from common.times import format_minute
from consistency.admin.anomaly_page import event_text
from consistency.admin.base import ReviewAdmin
from consistency.admin.forms import MAX_PEOPLE
from consistency.models.history import AnomalyEvent


class PersonFilter(admin.SimpleListFilter):
    title, parameter_name = "who", "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = get_user_model().objects.filter(is_staff=True).order_by("username")
        return [(name, printable(name)) for name in people.values_list("username", flat=True)[:MAX_PEOPLE]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AnomalyEvent]) -> QuerySet[AnomalyEvent]:
        return queryset.filter(by=self.value()) if self.value() else queryset


@admin.register(AnomalyEvent)
class AnomalyEventAdmin(ReviewAdmin):
    list_display = ("when", "who", "target", "what")
    list_display_links = None
    list_filter = (PersonFilter,)
    list_select_related = ("anomaly",)
    ordering = ("-pk",)
    fields = readonly_fields = ("when", "who", "target", "what")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AnomalyEvent]:
        """Return the events by people, without the events of scans."""
        events: QuerySet[AnomalyEvent] = super().get_queryset(request)
        return events.exclude(by="")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Who did what", **(extra_context or {})})

    @admin.display(description="when")
    def when(self, event: AnomalyEvent) -> str:
        return format_minute(event.at)

    @admin.display(description="who")
    def who(self, event: AnomalyEvent) -> str:
        return printable(event.by)

    @admin.display(description="to what")
    def target(self, event: AnomalyEvent) -> str:
        url = reverse("admin:consistency_anomaly_change", args=[event.anomaly_id])
        return format_html('<a href="{}">{}</a>', url, event.anomaly)

    @admin.display(description="what, and why")
    def what(self, event: AnomalyEvent) -> str:
        return event_text(event)
