"""Anomalies: a list to work through, and a page for each."""

from copy import copy
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import connections
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from common.text import printable
from common.times import ago, format_minute, time_left, times
from consistency.admin.acts import ACTS, AT_ONCE, Act, counted, perform, perform_later, say
from consistency.admin.background import forget, tell
from consistency.admin.base import ReviewAdmin, act_page, not_now, require
from consistency.admin.export import WAYS, exported
from consistency.admin.filters import (
    AgeFilter,
    AssigneeFilter,
    CheckFilter,
    DatabaseFilter,
    NewsFilter,
    ScanFilter,
    StateFilter,
    order,
    silent,
)
from consistency.admin.pages import anomaly_context, named
from consistency.admin.scanning import scan_now
from consistency.admin.seen import SEEN, ChangedError, Seen, seen, shown, unchanged
from consistency.admin.words import agreed
from consistency.history.formats import acknowledged_until
from consistency.history.hops import scanned
from consistency.history.kinds import Listed
from consistency.history.lists import beginning
from consistency.history.paginator import MOST
from consistency.history.silence import SilenceError
from consistency.history.turns import HeldError
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Severity

SHOWN = 70
"""Characters of a name or a sentence in a list; the anomaly's page has them all."""
TOLD = 10
"""Of so many that have changed since they were seen it is told what."""


@admin.register(Anomaly)
class AnomalyAdmin(ReviewAdmin):
    list_display = ("subject", "rule", "standing", "seen")
    list_display_links = ("subject",)
    list_filter = (
        CheckFilter,
        "severity",
        StateFilter,
        NewsFilter,
        ScanFilter,
        AgeFilter,
        AssigneeFilter,
        DatabaseFilter,
    )
    sortable_by = ()
    search_fields = ("file_uuid", "file_name")
    search_help_text = (
        "The first characters of a file's uuid or name, a job's number or an identity's uuid; case matters."
    )
    actions = ("acknowledge", "end_acknowledgement", "assign", "recheck", "as_csv", "as_json")

    # --- The list ----------------------------------------------------------------------------------------
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's, where each row that is shown knows the mute of its check, and the page what it leaves out."""
        over = request.method == "GET" and tell(request)
        answer = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            changelist, known = answer.context_data["cl"], silent(request)
            of_check = {(mute.database, mute.check_name): mute for mute in known.mutes}
            for anomaly in changelist.result_list:
                anomaly.mute = None if anomaly.resolved_at else of_check.get((anomaly.database, anomaly.check_name))
            if "state" not in request.GET and (known.mutes or known.some):
                answer.context_data["with_silenced"] = changelist.get_query_string({"state": "open"}, ["p"])
            answer.context_data["never_scanned"] = not changelist.result_count and not scanned()
        if over:
            forget(answer)
        return answer

    @admin.display(description="object")
    def subject(self, anomaly: Anomaly) -> str:
        return _short(named(anomaly))

    @admin.display(description="check, and why")
    def rule(self, anomaly: Anomaly) -> str:
        retired, why = " (retired)" if anomaly.retired else "", _short(printable(anomaly.detail))
        words = '{}{}<br><span class="why">{}</span><input type="hidden" name="{}" value="{}">'
        return format_html(words, anomaly.check_name, retired, why, SEEN, shown(anomaly))

    @admin.display(description="state")
    def standing(self, anomaly: Anomaly) -> str:
        level, held = Severity(anomaly.severity).word, acknowledged_until(anomaly)
        badges = [(level, level, ""), (anomaly.state, anomaly.state, "")]
        if held:
            why = agreed(anomaly.acknowledged_by or "", held, anomaly.acknowledged_reason or "")
            badges.append(("silent", f"acknowledged, {time_left(held, depth=1)} left", f"Acknowledged {why}"))
        if mute := getattr(anomaly, "mute", None):
            why = agreed(mute.by, mute.until, mute.reason)
            badges.append(("silent", f"muted, {time_left(mute.until, depth=1)} left", f"Check muted {why}"))
        if anomaly.assignee:
            badges.append(("person", _short(printable(anomaly.assignee)), "Assignee"))
        return format_html_join(" ", '<span class="badge {}"{}>{}</span>', ((a, _title(t), w) for a, w, t in badges))

    @admin.display(description="new or back")
    def seen(self, anomaly: Anomaly) -> str:
        when, often = format_minute(anomaly.appeared_at), f"seen {times(anomaly.times_seen)}"
        if anomaly.returned_count:
            often = f"first seen {ago(anomaly.first_seen, depth=1)}, {often}"
        words = '<time title="{}">{}</time><br><span class="why">{}</span>'
        return format_html(words, when, ago(anomaly.appeared_at, depth=1), often)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return order(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Anomaly], search_term: str
    ) -> tuple[QuerySet[Anomaly], bool]:
        """The whole term is the beginning of an identifier or of a name, which may have spaces."""
        if not search_term or "\0" in search_term:
            return queryset, False
        return queryset.filter(beginning(search_term, "file_uuid", "file_name", "object_id")), False

    # --- Acts on many ------------------------------------------------------------------------------------
    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whether who asks may acknowledge, assign and annotate."""
        return request.user.has_perm("consistency.acknowledge_anomaly")

    def has_scan_permission(self, request: HttpRequest) -> bool:
        """Whether who asks may start a scan."""
        return request.user.has_perm("consistency.scan_now")

    @admin.action(description="Acknowledge ...", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, found: QuerySet[Anomaly]) -> HttpResponseBase | None:
        return self._bulk(request, "acknowledge", found)

    @admin.action(description="End acknowledgement ...", permissions=["acknowledge"])
    def end_acknowledgement(self, request: HttpRequest, found: QuerySet[Anomaly]) -> HttpResponseBase | None:
        return self._bulk(request, "end_acknowledgement", found)

    @admin.action(description="Assign ...", permissions=["acknowledge"])
    def assign(self, request: HttpRequest, found: QuerySet[Anomaly]) -> HttpResponseBase | None:
        return self._bulk(request, "assign", found)

    @admin.action(description="Recheck: scan their checks now", permissions=["scan"])
    def recheck(self, request: HttpRequest, found: QuerySet[Anomaly]) -> None:
        """Only a scan of a whole check may call anything resolved."""
        pairs = list(found.order_by().values_list("database", "check_name").distinct())
        for database in sorted({database for database, _ in pairs}):
            names = {name for of, name in pairs if of == database}
            if database not in connections:
                messages.warning(request, f"Database {database!r} is retired: the settings do not name it any more.")
            elif checks := [check for check in CHECKS.values() if check.name in names]:
                scan_now(request, checks, database)
            else:
                messages.warning(request, "Their checks are retired: nothing to ask.")

    @admin.action(description="Export as CSV")
    def as_csv(self, request: HttpRequest, found: QuerySet[Anomaly]) -> HttpResponseBase:
        return exported(found, "csv")

    @admin.action(description="Export as JSON")
    def as_json(self, request: HttpRequest, found: QuerySet[Anomaly]) -> HttpResponseBase:
        return exported(found, "json")

    def _bulk(self, request: HttpRequest, name: str, found: QuerySet[Anomaly]) -> HttpResponseBase | None:
        across = request.POST.get("select_across") == "1"
        chosen = [] if across else request.POST.getlist(ACTION_CHECKBOX_NAME)
        number = Listed(found).count(MOST)
        about = counted(number)
        if across:
            about = f"All that match the list's filters: {about}" + (" or more" if number == MOST else "")
        # One key at least: without any, Django takes nothing for selected.
        hidden = [("action", name), ("select_across", "1" if across else "0")]
        hidden += [(ACTION_CHECKBOX_NAME, key) for key in chosen or ["0"]]
        form, saw = ACTS[name].form(request.POST if "sent" in request.POST else None), request.POST.getlist(SEEN)
        back = request.get_full_path()
        answer = HttpResponseRedirect(back)
        later = answer if number > AT_ONCE else None
        try:
            if form.is_bound and self._done(request, ACTS[name], form, found, seen(saw, chosen), later):
                return answer
        except ChangedError as changed:
            form.add_error(None, [not_now(words) for words in _differences(changed)])
            saw = [shown(row) for row in found]
        hidden += [(SEEN, value) for value in saw]
        return act_page(request, Anomaly, form, title=ACTS[name].title, about=about, back=back, hidden=hidden)

    def _done(
        self,
        request: HttpRequest,
        act: Act,
        form: Form,
        found: QuerySet[Anomaly],
        saw: Seen,
        later: HttpResponse | None = None,
    ) -> bool:
        """Whether it is done, or on its way `later`, by an answer that remembers it; else the form says why not.
        ChangedError if one is not as it was seen.
        """
        if not form.is_valid():
            return False
        if later is not None:
            perform_later(request, later, act, form, found)
            return True
        try:
            say(request, act, *perform(request, act, form, found, saw))
        except SilenceError as problem:
            form.add_error(None, str(problem))
        except HeldError as problem:
            form.add_error(None, not_now(problem))
        return form.is_valid()

    # --- One anomaly -------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("export/<str:how>/", view(self.export), name="consistency_anomaly_export"),
            path("<int:number>/act/<str:name>/", view(self.act), name="consistency_anomaly_act"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Everything about one, to read; what can be done is a form of its own."""
        require(request, "view_anomaly")
        anomaly = self.get_object(request, object_id)
        if anomaly is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        return self._page(request, anomaly, {})

    def _page(self, request: HttpRequest, anomaly: Anomaly, begun: dict[str, Form], **more: Any) -> TemplateResponse:
        """The page of one as it is now, with what was typed already; with what has changed, nothing was done (409)."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(anomaly),
            "media": self.media,
            "filters": self.get_preserved_filters(request),
            "list_query": request.GET.get("_changelist_filters", ""),
            "may_acknowledge": self.has_acknowledge_permission(request),
            "may_scan": self.has_scan_permission(request),
            "forms": {name: _form(anomaly, name) for name in ACTS} | begun,
            "seen": shown(anomaly),
            **anomaly_context(anomaly, self._listed(request)),
            **more,
        }
        status = 409 if "changed" in more else 200
        return TemplateResponse(request, "admin/consistency/anomaly/page.html", context, status=status)

    def _listed(self, request: HttpRequest) -> QuerySet[Anomaly]:
        """The list that one came from, for its neighbours."""
        asked = copy(request)
        asked.GET = QueryDict(request.GET.get("_changelist_filters", ""))
        try:
            found: QuerySet[Anomaly] = self.get_changelist_instance(asked).queryset
        except IncorrectLookupParameters:
            return self.get_queryset(request)
        return found

    def act(self, request: HttpRequest, number: int, name: str) -> HttpResponseBase:
        """Do one thing to one anomaly; its page has the form."""
        require(request, "view_anomaly")
        found = Anomaly.objects.filter(pk=number)
        if not (anomaly := found.first()) or name not in (*ACTS, "recheck"):
            raise Http404
        require(request, "scan_now" if name == "recheck" else "acknowledge_anomaly")
        back = f"{reverse('admin:consistency_anomaly_change', args=[number])}?{request.GET.urlencode()}"
        if request.method != "POST":
            return HttpResponseRedirect(back)
        if name == "recheck":
            self.recheck(request, found)
            return HttpResponseRedirect(back)
        form, saw = _form(anomaly, name, request.POST), request.POST.getlist(SEEN)
        try:
            # Before what was typed is judged: who was assigned then, say, need not be a choice any more.
            unchanged([anomaly], seen(saw, {str(number)}))
            if self._done(request, ACTS[name], form, found, seen(saw, {str(number)})):
                return HttpResponseRedirect(back)
        except ChangedError as changed:
            return self._changed(request, number, name, changed)
        about = f"{anomaly.check_name}: {_short(named(anomaly))}"
        hidden = [(SEEN, value) for value in saw]
        return act_page(request, Anomaly, form, title=ACTS[name].title, about=about, back=back, hidden=hidden)

    def _changed(self, request: HttpRequest, number: int, name: str, changed: ChangedError) -> HttpResponseBase:
        anomaly = Anomaly.objects.filter(pk=number).first()
        if anomaly is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(number))  # type: ignore[attr-defined,no-any-return]
        words = [word for _, words in changed.told for word in words]
        return self._page(request, anomaly, {name: _form(anomaly, name, request.POST)}, changed=words)

    def export(self, request: HttpRequest, how: str) -> HttpResponseBase:
        """All that match the list's filters, as a download."""
        require(request, "view_anomaly")
        if how not in WAYS:
            raise Http404
        try:
            return exported(self.get_changelist_instance(request).queryset, how)
        except IncorrectLookupParameters:
            raise Http404 from None


def _title(words: str) -> str:
    return format_html(' title="{}"', words) if words else ""


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _form(anomaly: Anomaly, name: str, typed: QueryDict | None = None) -> Form:
    # Several stand on one page: each label must lead to the field of its own form.
    initial = {"assign": {"assignee": anomaly.assignee or ""}, "note": {"note": anomaly.note}}
    return ACTS[name].form(typed, initial=initial.get(name), auto_id=f"{name}_%s")


def _differences(changed: ChangedError) -> list[str]:
    """What to say of several that have changed."""
    lines = [f"{_short(name)}: {'; '.join(words)}." for name, words in changed.told[:TOLD]]
    more = [f"And {len(changed.told) - TOLD} more."] if len(changed.told) > TOLD else []
    return ["Nothing was done: some have changed since the list was shown. Look, and send again.", *lines, *more]
