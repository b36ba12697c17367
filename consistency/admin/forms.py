"""Forms with a reason: mutes, and the actions on anomalies."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from django.utils.functional import cached_property

from common.choices import UnknownChoiceError
from common.text import printable
from consistency.admin.base import conflict
from consistency.history import suppression
from consistency.history.queries import check_names, file_key, last_runs, object_key, open_of_same, validate_mutable
from consistency.history.suppression import SuppressionError
from consistency.models.history import Anomaly, Category

LENGTHS: Final = {
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("1 week", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
SHOWN_COUNT: Final = "found"
"""Hidden field: a check, and the count that the form shows for it."""
MAX_PEOPLE: Final = 500


def reason_field(*, required: bool = True) -> forms.CharField:
    """Return the field of a reason, one line."""
    widget = forms.TextInput(attrs={"size": 60, "autocomplete": "off"})
    return forms.CharField(required=required, max_length=500, widget=widget)


class ReasonForm(forms.Form):
    """Reason of an action."""

    reason = reason_field()


class SuppressionForm(forms.Form):
    """Length or end of a suppression, and its reason."""

    length = forms.ChoiceField(label="For", initial="1d")
    until = forms.DateTimeField(
        required=False,
        label="Or until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Instead of a length of time.",
    )
    reason = reason_field()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(key, title) for key, (title, length) in LENGTHS.items() if length <= self.longest()]
        self.fields["length"].choices = choices  # type: ignore[attr-defined]

    def longest(self) -> timedelta:
        """Return the longest possible duration."""
        return suppression.longest_acknowledgement()

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        try:
            if until:
                suppression.validate_end(until, self.longest())
        except SuppressionError as problem:
            raise forms.ValidationError(str(problem)) from None
        return until

    @cached_property
    def end(self) -> datetime:
        """Return the end, for a valid form."""
        until: datetime | None = self.cleaned_data["until"]
        return until or timezone.now() + LENGTHS[self.cleaned_data["length"]][1]


class MuteForm(SuppressionForm):
    """Check, length and reason of a mute."""

    check_name = forms.ChoiceField(label="Check", help_text="With the number of findings in its last run.")
    database = forms.CharField(initial=DEFAULT_DB_ALIAS, widget=forms.HiddenInput)
    sticky = forms.BooleanField(
        required=False,
        label="Sticky: keep the mute whatever the next scans find",
        label_suffix="",
        help_text="Without this, the mute ends when a scan finds more than the number beside the check, or no finding.",
    )
    field_order = ("check_name", "length", "until", "reason", "sticky", "database")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        counts = {run.check_name: run.count for run in last_runs(self["database"].value())}
        # Retired checks are choices too: an old link may name one, and the answer gives the reason of the refusal.
        self.counts = {name: counts.get(name) for name in check_names()}
        """Findings in the last run of each check; None without a run."""
        choices = [(name, f"{name} ({_count_text(count)})") for name, count in self.counts.items()]
        self.fields["check_name"].choices = choices  # type: ignore[attr-defined]
        self.fields["length"].initial = "7d"

    def longest(self) -> timedelta:
        return suppression.LONGEST_MUTE

    def clean(self) -> dict[str, Any] | None:
        """Refuse a retired or unknown check or database, and a check with more findings than the form showed."""
        values = super().clean() or self.cleaned_data
        if not {"check_name", "database", "sticky"} <= values.keys():
            return values
        try:
            validate_mutable(values["check_name"], values["database"])
        except (SuppressionError, UnknownChoiceError) as problem:
            raise forms.ValidationError(str(problem)) from None
        fields: list[str] = self.data.getlist(SHOWN_COUNT)  # type: ignore[attr-defined]
        if fields and not values["sticky"]:
            shown = dict(field.rpartition(".")[::2] for field in fields)
            self._refuse_more(values["check_name"], shown.get(values["check_name"], ""))
        return values

    def _refuse_more(self, check: str, shown: str) -> None:
        count, before = self.counts[check], int(shown) if re.fullmatch("[0-9]{1,18}", shown) else None
        if count is not None and (before is None or before < count):
            state = "without a run" if before is None else f"with {before:,} found"
            raise conflict(
                f"Nothing was muted: the form showed {check} {state}, and a scan since then found {count:,}. Check the"
                " new anomalies, and send the form again."
            )


def _count_text(count: int | None) -> str:
    return "never ran" if count is None else f"{count:,} found" if count else "clean"


# --- Actions on anomalies --------------------------------------------------------------------------------
class ActionForm(forms.Form):
    """An action on anomalies, with the values that the action needs."""

    title: ClassVar[str]
    past_tense: ClassVar[str]
    not_possible: ClassVar[str] = "deleted"
    """State of the anomalies that the action skips."""

    def offer(self, anomalies: Sequence[Anomaly]) -> None:
        """Adapt the fields to the anomalies that the form is about."""

    def targets(self, anomalies: Sequence[Anomaly]) -> list[int]:
        """Return the primary keys of the anomalies that a valid form for these selected anomalies changes."""
        return [anomaly.pk for anomaly in anomalies]

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        """Change anomalies (primary keys), for a valid form; return the number of changed anomalies."""
        raise NotImplementedError

    def result(self, changed: int, skipped: int) -> str:
        """Return the result for people."""
        text = f"{self.past_tense}: {count_text(changed)}."
        return f"{text} Skipped: {skipped:,}, {self.not_possible}." if skipped else text


def count_text(number: int) -> str:
    """Return a number of anomalies for people."""
    return f"{number:,} {'anomaly' if number == 1 else 'anomalies'}"


class AcknowledgeForm(ActionForm, SuppressionForm):
    title, past_tense, not_possible = "Acknowledge", "Acknowledged", "already resolved"
    category = forms.ChoiceField(choices=Category.choices, widget=forms.RadioSelect)
    whole_file = forms.BooleanField(required=False, label="All of this file")
    field_order = ("category", "reason", "length", "until")

    def offer(self, anomalies: Sequence[Anomaly]) -> None:
        """Name the further anomalies of the files; without further anomalies remove the choice."""
        if further := _further_of_files(anomalies):
            names = ", ".join(dict.fromkeys(anomaly.check_name for anomaly in further))
            text = f"Also acknowledge {count_text(len(further))} of the same files: {names}."
            self.fields["whole_file"].help_text = text
        else:
            del self.fields["whole_file"]

    def targets(self, anomalies: Sequence[Anomaly]) -> list[int]:
        further = _further_of_files(anomalies) if self.cleaned_data.get("whole_file") else []
        return super().targets([*anomalies, *further])

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        values = {name: self.cleaned_data[name] for name in ("category", "reason")}
        return suppression.acknowledge(keys, until=self.end, by=by, wait=wait, **values)


def _further_of_files(anomalies: Sequence[Anomaly]) -> list[Anomaly]:
    """Return the further open anomalies of the files of anomalies, without those that a person acknowledged."""
    keys = {anomaly.pk for anomaly in anomalies}
    of_files = open_of_same(anomalies, file_key)
    return [anomaly for anomaly in of_files if anomaly.pk not in keys and not anomaly.is_acknowledged]


class ObjectForm(ActionForm):
    """An action on all open anomalies of the objects, because a row of the list stands for them."""

    def concerns(self, anomaly: Anomaly) -> bool:
        """Return True for a further anomaly of the object that the action changes, too."""
        return True

    def targets(self, anomalies: Sequence[Anomaly]) -> list[int]:
        further = [anomaly.pk for anomaly in open_of_same(anomalies, object_key) if self.concerns(anomaly)]
        return list(dict.fromkeys([*super().targets(anomalies), *further]))


class ReviewedForm(ObjectForm):
    title, past_tense, not_possible = "Mark as reviewed", "Marked as reviewed", "reviewed before, or resolved"

    def concerns(self, anomaly: Anomaly) -> bool:
        return not anomaly.reviewed_at

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        return suppression.mark_reviewed(keys, by=by, wait=wait)


class EndAcknowledgementForm(ObjectForm, ReasonForm):
    title, past_tense, not_possible = "End acknowledgement", "Acknowledgement ended", "not acknowledged"

    def concerns(self, anomaly: Anomaly) -> bool:
        return anomaly.is_acknowledged

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        return suppression.end_acknowledgement(keys, by=by, reason=self.cleaned_data["reason"], wait=wait)


class PersonField(forms.ChoiceField):
    """A person who may be assigned."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Keep the stored person instead of an invalid choice: the first choice means nobody."""
        return data if self.valid_value(data) else initial


class AssignForm(ObjectForm):
    """The present assignee stays a choice, even without an active account."""

    title, past_tense = "Assign", "Assigned"
    assignee = PersonField(required=False, label="Assign to")
    reason = reason_field(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        people = get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username")
        names = {name: name for name in people.values_list("username", flat=True)[:MAX_PEOPLE]}
        if (present := self.initial.get("assignee")) and present not in names:
            names[present] = f"{printable(present)} (as it is)"
        self.fields["assignee"].choices = [("", "nobody"), *names.items()]  # type: ignore[attr-defined]

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        person, reason = self.cleaned_data["assignee"], self.cleaned_data["reason"]
        return suppression.assign(keys, to=person or None, by=by, reason=reason, wait=wait)


class CommentForm(ActionForm):
    title, past_tense = "Comment", "Commented"
    comment = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "cols": 60}))

    def apply(self, keys: Iterable[int], by: str, wait: float | None = None) -> int:
        return suppression.comment(keys, text=self.cleaned_data["comment"], by=by, wait=wait)


ACTIONS: Final[dict[str, type[ActionForm]]] = {
    "mark_reviewed": ReviewedForm,
    "acknowledge": AcknowledgeForm,
    "end_acknowledgement": EndAcknowledgementForm,
    "assign": AssignForm,
    "comment": CommentForm,
}
