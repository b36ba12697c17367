"""Forms of the actions: end, person, reason."""

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from django.utils.functional import cached_property

from common.choices import UnknownChoiceError
from common.text import printable
from consistency.history.queries import check_names, last_runs, validate_mutable
from consistency.history.suppression import LONGEST_MUTE, SuppressionError, longest_acknowledgement, validate_end

LENGTHS: Final = {
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("1 week", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
MAX_PEOPLE: Final = 500
"""People in a list of choices."""


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
        return longest_acknowledgement()

    def clean_until(self) -> datetime | None:
        """Refuse a time in the past or too far away."""
        until: datetime | None = self.cleaned_data["until"]
        try:
            if until:
                validate_end(until, self.longest())
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

    def clean(self) -> dict[str, Any] | None:
        """Refuse a retired or unknown check or database."""
        values = super().clean() or self.cleaned_data
        try:
            if {"check_name", "database"} <= values.keys():
                validate_mutable(values["check_name"], values["database"])
        except (SuppressionError, UnknownChoiceError) as problem:
            raise forms.ValidationError(str(problem)) from None
        return values

    def longest(self) -> timedelta:
        return LONGEST_MUTE


def _count_text(count: int | None) -> str:
    return "never ran" if count is None else f"{count:,} found" if count else "clean"


class PersonField(forms.ChoiceField):
    """A person who may be assigned."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Keep the stored person instead of an invalid choice: the first choice means nobody."""
        return data if self.valid_value(data) else initial


class AssignForm(forms.Form):
    """Assignee and reason. The present assignee stays a choice, even without an active account."""

    assignee = PersonField(required=False, label="Assign to")
    reason = reason_field(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        people = get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username")
        names = {name: name for name in people.values_list("username", flat=True)[:MAX_PEOPLE]}
        if (present := self.initial.get("assignee")) and present not in names:
            names[present] = f"{printable(present)} (as it is)"
        self.fields["assignee"].choices = [("", "nobody"), *names.items()]  # type: ignore[attr-defined]


class NoteForm(forms.Form):
    """Note for the next reader."""

    note = forms.CharField(
        required=False, max_length=2000, strip=True, widget=forms.Textarea(attrs={"rows": 3, "cols": 60})
    )
