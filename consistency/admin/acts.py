"""What people do with anomalies: set-based, whatever their number, and in the admin's log with the reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from common.times import format_minute
from consistency.admin.background import Background, remember
from consistency.admin.base import log
from consistency.admin.forms import AssignForm, NoteForm, ReasonForm, SilenceForm
from consistency.admin.seen import Seen, unchanged
from consistency.history.silence import MEMORY, acknowledge, end_acknowledgement, told_by
from consistency.history.turns import hold
from consistency.models.history import Anomaly

EACH: Final = 100
"""Up to so many are logged one by one; an act on more is one line in the log."""
AT_ONCE: Final = 1000
"""Up to so many are changed while the page waits: all that it can be done to, or none."""
ALL: Final = Q()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing to do with anomalies."""

    title: str
    done: str
    """What to say afterwards."""
    form: type[forms.Form]
    change: Callable[[str, Any, int | None, Iterable[int]], int]
    """Given who, a valid form, the number of the log's line if that is about many, and primary keys; returns how many
    it changed, each of which knows that number from then on.
    """
    words: Callable[[Any], str]
    """What the log says, given the valid form."""
    fitting: Q = ALL
    """Which it can be done to."""
    others: str = "forgotten already"
    """What is the matter with those that it cannot be done to."""


def perform(request: HttpRequest, act: Act, form: forms.Form, found: QuerySet[Anomaly], seen: Seen) -> tuple[int, int]:
    """Do it to those of what was found that it fits, and log it for these; returns how many they are, and how many
    others there are. SilenceError or HeldError if it cannot be, ChangedError if one is not as it was seen.
    """
    keys = list(found.order_by().values_list("pk", flat=True))
    with transaction.atomic(using=MEMORY):
        # Those too that the list's filters no longer show, since somebody else has acted on them.
        unchanged(hold(list(seen), ALL), seen)
        rows = hold(keys, act.fitting)
        if rows:
            number = _log(request, act.words(form), rows)
            act.change(request.user.get_username(), form, number, [row.pk for row in rows])
    return len(rows), len(keys) - len(rows)


def _log(request: HttpRequest, words: str, rows: list[Anomaly]) -> int | None:
    """Returns the number of the line, if it is one about all of them."""
    if len(rows) <= EACH:
        log(request.user.pk, Anomaly, words, rows)
        return None
    [entry] = log(request.user.pk, Anomaly, f"{len(rows):,} {_which(request)}: {words}")
    return entry.pk


def perform_later(
    request: HttpRequest, answer: HttpResponse, act: Act, form: forms.Form, found: QuerySet[Anomaly]
) -> Thread:
    """The same in the background, for more than AT_ONCE; the list and the log tell how far it is, and how it ended,
    by what the answer remembers.
    """
    [entry] = log(request.user.pk, Anomaly, f"{_which(request)}: {act.words(form)}")
    remember(answer, entry)
    return Background(entry, found, partial(act.change, request.user.get_username(), form, entry.pk)).start()


def say(request: HttpRequest, act: Act, count: int, others: int) -> None:
    """How many it was done to; and why not to the others, or to none."""
    words = f"{act.done}: {counted(count)}."
    if others:
        words += f" Left alone: {others:,}, {act.others}."
    elif not count:
        words += " Nothing matches any more."
    messages.add_message(request, messages.SUCCESS if count else messages.WARNING, words)


def counted(number: int) -> str:
    """So many of them."""
    return f"{number:,} {'anomaly' if number == 1 else 'anomalies'}"


def _which(request: HttpRequest) -> str:
    """By which filters they were chosen; of those that were ticked, each row tells that it was."""
    across = request.POST.get("select_across") == "1"
    return f"anomalies ({request.META['QUERY_STRING'] or 'no filter'})" if across else "anomalies, ticked one by one"


def _acknowledge(by: str, form: SilenceForm, act: int | None, keys: Iterable[int]) -> int:
    return acknowledge(keys, until=form.end, by=by, reason=form.cleaned_data["reason"], act=act)


def _assign(by: str, form: AssignForm, act: int | None, keys: Iterable[int]) -> int:
    told = {"assignee": form.cleaned_data["assignee"] or None, **told_by(act)}
    return Anomaly.objects.filter(pk__in=keys).update(**told)


def _assigned(form: AssignForm) -> str:
    why = form.cleaned_data["reason"]
    return f"Assigned to {form.cleaned_data['assignee'] or 'nobody'}" + (f": {why}" if why else "")


def _note(by: str, form: NoteForm, act: int | None, keys: Iterable[int]) -> int:
    return Anomaly.objects.filter(pk__in=keys).update(note=form.cleaned_data["note"], **told_by(act))


ACTS: Final[dict[str, Act]] = {
    "acknowledge": Act(
        title="Acknowledge",
        done="Acknowledged",
        form=SilenceForm,
        change=_acknowledge,
        words=lambda form: f"Acknowledged until {format_minute(form.end)}: {form.cleaned_data['reason']}",
        fitting=Q(resolved_at__isnull=True),
        others="resolved already",
    ),
    "end_acknowledgement": Act(
        title="End acknowledgement",
        done="Acknowledgement ended",
        form=ReasonForm,
        change=lambda by, form, act, keys: end_acknowledgement(keys, act=act),
        words=lambda form: f"Acknowledgement ended: {form.cleaned_data['reason']}",
        fitting=Q(acknowledged_until__gt=Now()),
        others="not acknowledged",
    ),
    "assign": Act(title="Assign", done="Assigned", form=AssignForm, change=_assign, words=_assigned),
    "note": Act(
        title="Note",
        done="Noted",
        form=NoteForm,
        change=_note,
        words=lambda form: f"Note: {form.cleaned_data['note']}",
    ),
}
