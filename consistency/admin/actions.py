"""Actions of people on anomalies: at once, or in a background task."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from consistency.admin.forms import AssignForm, NoteForm, ReasonForm, SuppressionForm
from consistency.history.locks import changing_anomalies
from consistency.history.suppression import acknowledge, assign, comment, end_acknowledgement
from consistency.history.tasks import Progress, start_task
from consistency.models.history import Anomaly

MAX_AT_ONCE: Final = 1000
"""Anomalies that a request changes. More are changed in a background task."""
BATCH_SIZE: Final = 5000
BATCH_LOCK_TIMEOUT: Final = 150.0
"""Seconds that a batch waits for the anomalies. A recording holds the anomalies for at most two minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action on anomalies."""

    title: str
    past_tense: str
    form: type[forms.Form]
    apply: Callable[..., int]
    """Given primary keys, the user name, a valid form and `wait`, return the number of changed anomalies."""
    not_possible: str = "deleted"
    """State of the anomalies that the action skips."""

    def result(self, changed: int, skipped: int) -> str:
        """Return the result for people."""
        text = f"{self.past_tense}: {count_text(changed)}."
        if skipped:
            text += f" Skipped: {skipped:,}, {self.not_possible}."
        return text


class StateChangedError(Exception):
    """An anomaly is not in the state that the page showed."""

    def __init__(self) -> None:
        super().__init__(
            "Some of these anomalies changed since the page was shown. Nothing was done: check the state shown now, and"
            " send the form again."
        )


def state_token(anomalies: Iterable[Anomaly]) -> str:
    """Return a hash of the shown state of anomalies, for a hidden field of a form."""
    digest = blake2b(digest_size=10)
    for anomaly in sorted(anomalies, key=lambda row: row.pk):
        acknowledgement = anomaly.is_acknowledged and (
            anomaly.acknowledged_by, anomaly.acknowledged_at, anomaly.acknowledged_until, anomaly.acknowledged_reason,
        )  # fmt: skip
        state = (anomaly.detail, anomaly.resolved_at is not None, anomaly.returned_count, acknowledgement)
        digest.update(repr((anomaly.pk, *state, anomaly.assignee, anomaly.note)).encode())
    return digest.hexdigest()


def apply(request: HttpRequest, action: Action, form: forms.Form, anomalies: QuerySet[Anomaly], token: str) -> None:
    """Apply an action if the form is valid, and add a message with the result.

    `token` is the state token of the page, or empty. Raises StateChangedError, SuppressionError, AnomaliesLockedError.
    """
    with changing_anomalies():
        rows = list(anomalies)
        if token and state_token(rows) != token:
            raise StateChangedError
        # The form is judged after the token: an outdated form may hold a choice that is no longer possible.
        if not form.is_valid():
            return
        changed = action.apply([row.pk for row in rows], request.user.get_username(), form)
    text = action.result(changed, len(rows) - changed) if rows else f"{action.past_tense}: none matches any more."
    messages.add_message(request, messages.SUCCESS if changed else messages.WARNING, text)


def apply_in_background(request: HttpRequest, action: Action, form: forms.Form, anomalies: QuerySet[Anomaly]) -> bool:
    """Start a task that applies an action to more anomalies than a request can change. Return False if not valid."""
    if not form.is_valid():
        return False
    across = request.POST.get("select_across") == "1"
    which = (request.META["QUERY_STRING"] or "no filter") if across else "selected rows"
    by = request.user.get_username()
    work = partial(_apply_in_batches, action=action, form=form, by=by, anomalies=anomalies)
    start_task(work, title=f"{action.title}: anomalies ({which})", by=by)
    return True


def _apply_in_batches(
    progress: Progress, *, action: Action, form: forms.Form, by: str, anomalies: QuerySet[Anomaly]
) -> str:
    """Change the anomalies that match at the start, in the order of their keys. A later error keeps changed batches."""
    keys = array("q")
    # A transaction keeps the server-side cursor, also behind a pooler.
    with transaction.atomic():
        keys.extend(anomalies.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=10_000))
    progress.update(total=len(keys))
    changed = 0
    for start in range(0, len(keys), BATCH_SIZE):
        batch = keys[start : start + BATCH_SIZE].tolist()
        changed += action.apply(batch, by, form, wait=BATCH_LOCK_TIMEOUT)
        progress.update(done=start + len(batch))
    return action.result(changed, len(keys) - changed)


def count_text(number: int) -> str:
    """Return a number of anomalies for people."""
    return f"{number:,} {'anomaly' if number == 1 else 'anomalies'}"


def _acknowledge(keys: Iterable[int], by: str, form: Any, wait: float | None = None) -> int:
    return acknowledge(keys, until=form.end, by=by, reason=form.cleaned_data["reason"], wait=wait)


def _end_acknowledgement(keys: Iterable[int], by: str, form: Any, wait: float | None = None) -> int:
    return end_acknowledgement(keys, by=by, reason=form.cleaned_data["reason"], wait=wait)


def _assign(keys: Iterable[int], by: str, form: Any, wait: float | None = None) -> int:
    values = form.cleaned_data
    return assign(keys, to=values["assignee"] or None, by=by, reason=values["reason"], wait=wait)


def _comment(keys: Iterable[int], by: str, form: Any, wait: float | None = None) -> int:
    return comment(keys, note=form.cleaned_data["note"], by=by, wait=wait)


ACTIONS: Final[dict[str, Action]] = {
    "acknowledge": Action(
        title="Acknowledge",
        past_tense="Acknowledged",
        form=SuppressionForm,
        apply=_acknowledge,
        not_possible="already resolved",
    ),
    "end_acknowledgement": Action(
        title="End acknowledgement",
        past_tense="Acknowledgement ended",
        form=ReasonForm,
        apply=_end_acknowledgement,
        not_possible="not acknowledged",
    ),
    "assign": Action(title="Assign", past_tense="Assigned", form=AssignForm, apply=_assign),
    "note": Action(title="Note", past_tense="Note saved", form=NoteForm, apply=_comment),
}
