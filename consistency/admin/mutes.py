"""Mutes, active and past; made and ended on pages that ask for the reason."""

import re
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html

from common.text import printable
from common.times import format_minute, time_left
from consistency.admin.base import ReviewAdmin, act_page, log, not_now, overview_address, require
from consistency.admin.forms import MuteForm, ReasonForm
from consistency.history.formats import lasting
from consistency.history.silence import MEMORY, SilenceError, mute, unmute
from consistency.models.history import Mute, MuteEnd

FOUND: Final = "found"
"""The hidden field: a check, and how many of it the form showed."""


class RisenError(SilenceError):
    """More was found since the form was shown: muted, that would be news that nobody saw."""

    def __init__(self, made: Mute, before: int | None) -> None:
        shown = "as not asked yet" if before is None else f"with {before:,} found"
        super().__init__(
            f"Nothing was muted: the form showed {made.check_name} {shown}, and a scan since then found {made.mark:,}. "
            "Look at what came, and send again."
        )


class RunningFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "running"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Active"), ("0", "Past")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mute]) -> QuerySet[Mute]:
        running = Q(ended_at__isnull=True, until__gt=timezone.now())
        return {"1": queryset.filter(running), "0": queryset.exclude(running)}.get(self.value() or "", queryset)


@admin.register(Mute)
class MuteAdmin(ReviewAdmin):
    list_display = ("about", "standing", "why", "who")
    sortable_by = ()
    list_filter = (RunningFilter,)
    fields = (
        "check_name", "database", "standing", "by", "reason", "created_at", "until", "sticky", "mark", "ended",
        "because",
    )  # fmt: skip
    readonly_fields = ("standing", "ended", "because")

    @admin.display(description="check")
    def about(self, mute: Mute) -> str:
        of = "" if mute.database == MEMORY else f" of {mute.database}"
        return f"{mute.check_name}{of}{' (retired)' if mute.retired else ''}"

    @admin.display(description="state")
    def standing(self, mute: Mute) -> str:
        """How long it holds at most, or when and why it ended."""
        if not mute.over:
            holds = "sticky" if mute.sticky else f"up to {mute.mark:,}" if mute.mark is not None else "any number"
            words = '<span class="badge silent">{} left</span><br><span class="why">{}</span>'
            return format_html(words, time_left(mute.until), holds)
        words = '<span class="badge past">over: {}</span><br><span class="why">{}</span>'
        return format_html(words, self.because(mute), self.ended(mute))

    @admin.display(description="ended at")
    def ended(self, mute: Mute) -> str:
        """At its time, though a scan may note that later, or none has yet."""
        return format_minute(min(mute.until, mute.ended_at or mute.until)) if mute.over else "-"

    @admin.display(description="ended because")
    def because(self, mute: Mute) -> str:
        return mute.ended_because or (MuteEnd.TIME.value if mute.over else "-")

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
            path("<int:number>/end/", view(self.end), name="consistency_mute_end"),
            *super().get_urls(),
        ]

    def begin(self, request: HttpRequest) -> HttpResponseBase:
        """Mute a check, in place of a mute that it has."""
        require(request, "mute_check")
        asked = {name: request.GET[name] for name in ("check_name", "database") if name in request.GET}
        form = MuteForm(request.POST) if request.method == "POST" else MuteForm(initial=asked)
        if form.is_bound and form.is_valid():
            try:
                made = self._muted(request, form)
            except RisenError as problem:
                form.add_error(None, not_now(problem))
            except SilenceError as problem:
                form.add_error(None, str(problem))
            except IntegrityError:
                form.add_error(None, not_now("Somebody else muted it at that moment. Look, and try again."))
            else:
                words = f"Muted until {format_minute(made.until)}: {made.check_name}, {lasting(made)}."
                messages.success(request, words)
                return HttpResponseRedirect(overview_address(request, made.database))
        about = "It decides no status, no exit code and no notice for a while. What could not run is never muted."
        return act_page(
            request,
            Mute,
            form,
            title="Mute a check",
            about=about,
            back=overview_address(request, asked.get("database", MEMORY)),
            hidden=[(FOUND, f"{name}.{count}") for name, count in form.shown.items()],
        )

    def end(self, request: HttpRequest, number: int) -> HttpResponseBase:
        """End this very mute: the check is heard again from now on."""
        require(request, "view_mute")
        require(request, "mute_check")
        running = Mute.objects.filter(pk=number, ended_at__isnull=True).first()
        if running is None:
            raise Http404
        if request.method != "POST" and running.over:
            return self._over(request, running)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            if not _unmuted(request, running, form.cleaned_data["reason"]):
                return self._over(request, running)
            messages.success(request, f"Heard again: {running.check_name}.")
            return HttpResponseRedirect(overview_address(request, running.database))
        until = format_minute(running.until)
        about = f"{running.check_name}, muted by {running.by} until {until}: {running.reason}"
        return act_page(
            request,
            Mute,
            form,
            title="Unmute",
            about=printable(about),
            back=overview_address(request, running.database),
        )

    def _over(self, request: HttpRequest, running: Mute) -> HttpResponseBase:
        messages.warning(request, f"This mute of {running.check_name} had ended already.")
        return HttpResponseRedirect(overview_address(request, running.database))

    def _muted(self, request: HttpRequest, form: MuteForm) -> Mute:
        told = form.cleaned_data
        with transaction.atomic(using=MEMORY):
            made = mute(
                told["check_name"],
                until=form.end,
                by=request.user.get_username(),
                reason=told["reason"],
                sticky=told["sticky"],
                database=told["database"],
            )
            _as_shown(made, request.POST.getlist(FOUND))
            words = f"Muted until {format_minute(made.until)}{', sticky' if made.sticky else ''}: {made.reason}"
            log(request.user.pk, Mute, words, [made], ADDITION)
        return made


def _as_shown(made: Mute, found: list[str]) -> None:
    """RisenError if the form showed fewer of it, or none yet; who sent no numbers has seen no form."""
    if not found or made.sticky or made.mark is None:
        return
    shown = dict(each.rpartition(".")[::2] for each in found).get(made.check_name, "")
    before = int(shown) if re.fullmatch(r"[0-9]{1,18}", shown) else None
    if before is None or before < made.mark:
        raise RisenError(made, before)


def _unmuted(request: HttpRequest, running: Mute, why: str) -> bool:
    with transaction.atomic(using=MEMORY):
        ended = unmute(running.check_name, database=running.database, number=running.pk)
        if ended:
            log(request.user.pk, Mute, f"Unmuted: {why}", [running])
    return ended
