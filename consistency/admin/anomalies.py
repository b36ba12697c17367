"""Anomalies: the list with its actions, and the page of one anomaly."""

from copy import copy
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.db import connections
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse

from consistency.admin import filters
from consistency.admin.actions import STATE_FIELD, apply, state_token
from consistency.admin.anomaly_columns import AnomalyChangeList, AnomalyColumns, fold
from consistency.admin.anomaly_page import neighbours, page_context
from consistency.admin.background import add_task_messages, start_bulk_action, start_scan
from consistency.admin.base import ReviewAdmin, form_page, form_status, require
from consistency.admin.causes import causes_page
from consistency.admin.export import FORMATS, export
from consistency.admin.filters import is_resolved_list, list_order
from consistency.admin.forms import ACTIONS, ActionForm, count_text
from consistency.admin.resolved_columns import resolved_columns
from consistency.history.paginator import AtLeast, BoundedPaginator
from consistency.history.queries import active_mutes, suppressed, with_comments
from consistency.history.search import SearchTimeoutError, count_states, search
from consistency.models.conditions import prefix
from consistency.models.history import Anomaly, Scan
from consistency.registry import CHECKS

MAX_AT_ONCE: Final = 1000
"""Anomalies that a request changes. A background task changes more."""
MAX_LISTED: Final = 20
"""Selected anomalies that the page of an action lists."""


@admin.register(Anomaly)
class AnomalyAdmin(AnomalyColumns, ReviewAdmin):
    list_display = ("target", "rule", "state", "first", "appeared")
    list_display_links = ("target",)
    sortable_by = list_display  # type: ignore[assignment]
    list_filter = (
        filters.ReviewFilter, filters.AgeFilter, filters.LastScanFilter, filters.CheckFilter, filters.CauseFilter,
        "severity", filters.StateFilter, filters.CategoryFilter, filters.ResolvedSinceFilter, filters.ScanFilter,
        filters.AssigneeFilter, filters.DatabaseFilter,
    )  # fmt: skip
    search_fields = ("file_name",)
    search_help_text = (
        "Any part of a name, the detail, a comment or the assignee, from three characters on; a path; a uuid; job 17."
        " Without a state of your choice, all states are searched."
    )
    actions = ("mark_reviewed", "acknowledge", "end_acknowledgement", "assign", "recheck", "as_csv", "as_json")

    # --- The list ----------------------------------------------------------------------------------------
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Fold the rows of each object, and say which anomalies the list leaves out."""
        if request.method == "GET":
            add_task_messages(request)
        try:
            response = super().changelist_view(request, extra_context)
        except SearchTimeoutError as problem:
            return self._without_search(request, problem)
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            changelist, mutes = response.context_data["cl"], active_mutes()
            changelist.result_list = rows = fold(changelist.result_list, mutes, changelist.preserved_filters)
            response.context_data["selection_note"] = f"0 of {len(rows)} selected"
            if changelist.query.strip():
                response.context_data["found"] = count_states(changelist.queryset, changelist.result_count, mutes)
            elif not {"state", "review"} & set(request.GET) and Anomaly._base_manager.filter(suppressed(True)).exists():
                response.context_data["with_suppressed"] = changelist.get_query_string({"state": "open"}, ["p"])
            response.context_data["never_scanned"] = not changelist.result_count and not Scan.objects.exists()
        return response

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AnomalyChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show resolved anomalies in columns of their own."""
        if is_resolved_list(request):
            return list(resolved_columns(request.user.has_perm("consistency.view_scan")))
        return super().get_list_display(request)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return list_order(request.GET)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Anomaly]:
        """Return anomalies in the order of the list; a chosen scan adds the column of its order later."""
        anomalies = with_comments(Anomaly.objects.annotate(name_start=prefix("file_name")))
        return anomalies if "scan" in request.GET else anomalies.order_by(*list_order(request.GET))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Anomaly], search_term: str
    ) -> tuple[QuerySet[Anomaly], bool]:
        return search(queryset, search_term), False

    # --- Actions on selected anomalies -------------------------------------------------------------------
    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consistency.acknowledge_anomaly")

    def has_scan_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consistency.scan_now")

    @admin.action(description="Mark as reviewed", permissions=["acknowledge"])
    def mark_reviewed(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return self._act_on_selected(request, "mark_reviewed", anomalies)

    @admin.action(description="Acknowledge ...", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return self._act_on_selected(request, "acknowledge", anomalies)

    @admin.action(description="End acknowledgement ...", permissions=["acknowledge"])
    def end_acknowledgement(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return self._act_on_selected(request, "end_acknowledgement", anomalies)

    @admin.action(description="Assign ...", permissions=["acknowledge"])
    def assign(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return self._act_on_selected(request, "assign", anomalies)

    @admin.action(description="Recheck: scan their checks now", permissions=["scan"])
    def recheck(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> None:
        """Scan the checks of the anomalies. Only a scan of a whole check resolves anomalies."""
        pairs = set(anomalies.order_by().values_list("database", "check_name").distinct())
        scans = {name: [check for check in CHECKS.values() if (name, check.name) in pairs] for name in connections}
        for database, checks in scans.items():
            if checks:
                start_scan(request, checks, database)
        if not any(scans.values()):
            messages.warning(request, "The checks of these anomalies are retired: no scan runs them.")

    @admin.action(description="Export as CSV")
    def as_csv(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return export(anomalies, "csv")

    @admin.action(description="Export as JSON")
    def as_json(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        return export(anomalies, "json")

    def _act_on_selected(self, request: HttpRequest, name: str, anomalies: QuerySet[Anomaly]) -> HttpResponseBase:
        """Show the form of an action, or apply the action: to many anomalies in the background."""
        across = request.POST.get("select_across") == "1"
        number = BoundedPaginator(anomalies, 1).count
        # An action without fields applies at once.
        sent = "sent" in request.POST or not ACTIONS[name].base_fields
        form = ACTIONS[name](request.POST if sent else None, initial={"whole_file": True})
        if form.is_bound and number > MAX_AT_ONCE:
            applied = start_bulk_action(request, form, anomalies)
        else:
            applied = form.is_bound and apply(request, form, anomalies)
        if applied:
            return HttpResponseRedirect(request.get_full_path())
        about = f"{number} anomalies" if isinstance(number, AtLeast) else count_text(number)
        rows: list[Anomaly] = [] if across else list(anomalies)
        # Without a selected key Django takes the selection for empty.
        keys = ["0"] if across else request.POST.getlist(ACTION_CHECKBOX_NAME)
        form.offer(rows)
        hidden = [("action", name), ("select_across", "1" if across else "0")]
        hidden += [(ACTION_CHECKBOX_NAME, key) for key in keys]
        return form_page(
            request,
            Anomaly,
            form,
            title=form.title,
            about=f"All that match the list's filters: {about}" if across else about,
            back=request.get_full_path(),
            hidden=hidden if across else [*hidden, (STATE_FIELD, state_token(rows))],
            rows=rows[:MAX_LISTED],
            more=max(0, len(rows) - MAX_LISTED),
        )

    # --- One anomaly -------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("export/<str:name>/", view(self.export), name="consistency_anomaly_export"),
            path("causes/", view(self.causes), name="consistency_anomaly_causes"),
            path("<int:key>/act/<str:name>/", view(self.act), name="consistency_anomaly_act"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the anomaly, with a form for each action."""
        require(request, "view_anomaly")
        return self._page(request, object_id, {})

    def _page(self, request: HttpRequest, key: str, sent: dict[str, ActionForm]) -> Any:
        """Return the page, with the form that was sent if the action was not possible."""
        anomaly = self.get_object(request, key)
        if anomaly is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, key)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "filters": self.get_preserved_filters(request),
            "list_query": request.GET.get("_changelist_filters", ""),
            "may_acknowledge": self.has_acknowledge_permission(request),
            "may_scan": self.has_scan_permission(request),
            "forms": {name: _form(anomaly, name) for name in ACTIONS} | sent,
            "sent": next(iter(sent.values()), None),
            "state_token": state_token([anomaly]),
            **page_context(anomaly),
            **self._neighbours(request, anomaly),
        }
        status = form_status(context["sent"]) if sent else 200
        return TemplateResponse(request, "admin/consistency/anomaly/page.html", context, status=status)

    def _neighbours(self, request: HttpRequest, anomaly: Anomaly) -> dict[str, Any]:
        """Return the neighbours in the list that led to the anomaly."""
        list_request = copy(request)
        list_request.GET = QueryDict(request.GET.get("_changelist_filters", ""))
        try:
            anomalies = self.get_changelist_instance(list_request).queryset
        except (IncorrectLookupParameters, SearchTimeoutError):
            anomalies = self.get_queryset(request).order_by(*list_order({}))
        return neighbours(anomaly, anomalies)

    def act(self, request: HttpRequest, key: int, name: str) -> HttpResponseBase:
        """Apply one action to one anomaly."""
        require(request, "view_anomaly")
        anomalies = self.get_queryset(request).filter(pk=key)
        if not (anomaly := anomalies.first()) or name not in (*ACTIONS, "recheck"):
            raise Http404
        require(request, "scan_now" if name == "recheck" else "acknowledge_anomaly")
        back = f"{reverse('admin:consistency_anomaly_change', args=[key])}?{request.GET.urlencode()}"
        if request.method == "POST" and name == "recheck":
            self.recheck(request, anomalies)
        elif request.method == "POST":
            form = _form(anomaly, name, request.POST)
            if not apply(request, form, anomalies):
                return self._page(request, str(key), {name: form})  # type: ignore[no-any-return]
        return HttpResponseRedirect(back)

    def causes(self, request: HttpRequest) -> HttpResponseBase:
        """Show the open anomalies of a check that are not suppressed, grouped by cause."""
        require(request, "view_anomaly")
        return causes_page(request, may_acknowledge=self.has_acknowledge_permission(request))

    def export(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Download all anomalies that match the filters of the list."""
        require(request, "view_anomaly")
        if name not in FORMATS:
            raise Http404
        try:
            return export(self.get_changelist_instance(request).queryset, name)
        except IncorrectLookupParameters:
            raise Http404 from None
        except SearchTimeoutError as problem:
            return self._without_search(request, problem)

    def _without_search(self, request: HttpRequest, problem: SearchTimeoutError) -> HttpResponseRedirect:
        """Redirect to the list with the other filters, and say why the search was stopped."""
        messages.error(request, str(problem))
        query = request.GET.copy()
        for name in (SEARCH_VAR, PAGE_VAR):
            query.pop(name, None)
        return HttpResponseRedirect(f"{reverse('admin:consistency_anomaly_changelist')}?{query.urlencode()}")


def _form(anomaly: Anomaly, name: str, data: QueryDict | None = None) -> ActionForm:
    initial = {"assign": {"assignee": anomaly.assignee or ""}}
    # One page shows several forms: each label must name the field of its own form.
    form = ACTIONS[name](data, initial=initial.get(name), auto_id=f"{name}_%s")
    form.offer([anomaly])
    return form
