"""Mutes: the list, and the pages that mute and unmute a check."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import DEFAULT_DB_ALIAS, IntegrityError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html

from common.text import printable
from common.times import format_minute, time_left
from consistency.admin.base import ReviewAdmin, conflict, form_page, overview_url, require
from consistency.admin.filters import ConditionFilter
from consistency.admin.forms import SHOWN_COUNT, MuteForm, ReasonForm
from consistency.history.suppression import SuppressionError, mute, mute_condition, unmute
from consistency.models.history import Mute, MuteEnd


def _running() -> Q:
    return Q(ended_at__isnull=True, until__gt=timezone.now())


class RunningFilter(ConditionFilter):
    title, parameter_name = "state", "running"
    conditions: ClassVar = {
        "1": ("Active", lambda request: _running()),
        "0": ("Past", lambda request: ~_running()),
    }


@admin.register(Mute)
class MuteAdmin(ReviewAdmin):
    list_display = ("muted_check", "state", "why", "who")
    list_filter = (RunningFilter,)
    fields = (
        "check_name", "database", "state", "by", "reason", "created_at", "until", "sticky", "mark", "ended", "because",
        "ended_by", "ended_reason",
    )  # fmt: skip
    readonly_fields = ("state", "ended", "because")

    @admin.display(description="check")
    def muted_check(self, mute: Mute) -> str:
        database = "" if mute.database == DEFAULT_DB_ALIAS else f" of {mute.database}"
        return f"{mute.check_name}{database}{' (retired)' if mute.retired else ''}"

    @admin.display(description="state")
    def state(self, mute: Mute) -> str:
        """Show the remaining time, or the end with its cause."""
        if mute.is_over:
            html = '<span class="badge past">over: {}</span><br><span class="why">{}</span>'
            return format_html(html, self.because(mute), self.ended(mute))
        limit = "sticky" if mute.sticky else f"up to {mute.mark:,}" if mute.mark is not None else "any number"
        html = '<span class="badge suppressed">{} left</span><br><span class="why">{}</span>'
        return format_html(html, time_left(mute.until), limit)

    @admin.display(description="ended at")
    def ended(self, mute: Mute) -> str:
        """Show the end, also before a scan records the end."""
        return format_minute(min(mute.until, mute.ended_at or mute.until)) if mute.is_over else "-"

    @admin.display(description="ended because")
    def because(self, mute: Mute) -> str:
        return mute.ended_because or (MuteEnd.TIME.value if mute.is_over else "-")

    @admin.display(description="reason")
    def why(self, mute: Mute) -> str:
        return printable(mute.reason)

    @admin.display(description="by")
    def who(self, mute: Mute) -> str:
        return format_html('{}<br><span class="why">{}</span>', printable(mute.by), format_minute(mute.created_at))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("new/", view(self.begin), name="consistency_mute_new"),
            path("<int:key>/end/", view(self.end), name="consistency_mute_end"),
            *super().get_urls(),
        ]

    def begin(self, request: HttpRequest) -> HttpResponseBase:
        """Mute a check; a running mute is replaced."""
        require(request, "mute_check")
        initial = {name: request.GET[name] for name in ("check_name", "database") if name in request.GET}
        form = MuteForm(request.POST) if request.method == "POST" else MuteForm(initial=initial)
        if form.is_bound and form.is_valid():
            values = form.cleaned_data
            try:
                new = mute(
                    values["check_name"],
                    until=form.end,
                    by=request.user.get_username(),
                    reason=values["reason"],
                    sticky=values["sticky"],
                    database=values["database"],
                )
            except SuppressionError as problem:
                form.add_error(None, str(problem))
            except IntegrityError:
                form.add_error(None, conflict("Another person muted the check at the same time. Check, and try again."))
            else:
                messages.success(
                    request, f"Muted {new.check_name} until {format_minute(new.until)}, {mute_condition(new)}."
                )
                return HttpResponseRedirect(overview_url(request, new.database))
        return form_page(
            request,
            Mute,
            form,
            title="Mute a check",
            about="A muted check does not affect the status, exit codes and notices. A check that cannot run is never"
            " muted.",
            back=overview_url(request, initial.get("database", DEFAULT_DB_ALIAS)),
            hidden=[(SHOWN_COUNT, f"{name}.{count}") for name, count in form.counts.items()],
        )

    def end(self, request: HttpRequest, key: int) -> HttpResponseBase:
        """End this mute."""
        require(request, "view_mute")
        require(request, "mute_check")
        running = Mute.objects.filter(pk=key, ended_at__isnull=True).first()
        if running is None:
            raise Http404
        if request.method != "POST" and running.is_over:
            return self._already_ended(request, running)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            by, reason = request.user.get_username(), form.cleaned_data["reason"]
            if not unmute(running.check_name, database=running.database, pk=running.pk, by=by, reason=reason):
                return self._already_ended(request, running)
            messages.success(request, f"Unmuted {running.check_name}.")
            return HttpResponseRedirect(overview_url(request, running.database))
        until = format_minute(running.until)
        about = f"{running.check_name}, muted by {running.by} until {until}: {running.reason}"
        back = overview_url(request, running.database)
        return form_page(request, Mute, form, title="Unmute", about=printable(about), back=back)

    def _already_ended(self, request: HttpRequest, ended: Mute) -> HttpResponseBase:
        messages.warning(request, f"This mute of {ended.check_name} had ended already.")
        return HttpResponseRedirect(overview_url(request, ended.database))
