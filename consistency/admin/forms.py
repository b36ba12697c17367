"""What an act asks for: until when, whom, and always why."""

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.functional import cached_property

from common.choices import UnknownChoiceError
from common.text import printable
from consistency.history.lists import last_counts
from consistency.history.names import known_names, to_mute
from consistency.history.silence import LONGEST_MUTE, MEMORY, SilenceError, check_end, longest_acknowledgement

LENGTHS: Final = {
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("1 week", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
MOST_PEOPLE: Final = 500


class ReasonForm(forms.Form):
    """Why, for everybody who looks later."""

    reason = forms.CharField(max_length=500, widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}))


class SilenceForm(forms.Form):
    """For how long, or until when, and why."""

    length = forms.ChoiceField(label="For", initial="1d")
    until = forms.DateTimeField(
        required=False,
        label="Or until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Instead of a length of time.",
    )
    reason = forms.CharField(max_length=500, widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}))

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        fitting = [(key, words) for key, (words, length) in LENGTHS.items() if length <= self.longest()]
        self.fields["length"].choices = fitting  # type: ignore[attr-defined]

    def longest(self) -> timedelta:
        """How long it may be."""
        return longest_acknowledgement()

    def clean_until(self) -> datetime | None:
        """In the future, and not too far."""
        until: datetime | None = self.cleaned_data["until"]
        try:
            if until:
                check_end(until, self.longest())
        except SilenceError as problem:
            raise forms.ValidationError(str(problem)) from None
        return until

    @cached_property
    def end(self) -> datetime:
        """When it ends, of a valid form."""
        until: datetime | None = self.cleaned_data["until"]
        return until or timezone.now() + LENGTHS[self.cleaned_data["length"]][1]


class MuteForm(SilenceForm):
    """Which check, and whether it holds whatever happens."""

    check_name = forms.ChoiceField(label="Check", help_text="With what was found when it was last asked.")
    database = forms.CharField(initial=MEMORY, widget=forms.HiddenInput)
    sticky = forms.BooleanField(
        required=False,
        help_text="Without it, the mute ends when a scan finds more than the number beside the check, or none.",
    )
    field_order = ("check_name", "length", "until", "reason", "sticky", "database")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        counts = last_counts(self["database"].value())
        # A retired one can be asked for, by an old link say, and is refused with the reason.
        self.shown = {name: counts.get(name) for name in known_names().checks}
        """What each check found when it was last asked, as the form says; None for one that never was."""
        found = [(name, f"{name} ({_found(count)})") for name, count in self.shown.items()]
        self.fields["check_name"].choices = found  # type: ignore[attr-defined]
        self.fields["length"].initial = "7d"

    def clean(self) -> dict[str, Any] | None:
        """Of a check and a database that are asked: nobody would ever see another's mute."""
        told = super().clean() or self.cleaned_data
        try:
            if {"check_name", "database"} <= told.keys():
                to_mute(told["check_name"], told["database"])
        except (SilenceError, UnknownChoiceError) as problem:
            raise forms.ValidationError(str(problem)) from None
        return told

    def longest(self) -> timedelta:
        """A year."""
        return LONGEST_MUTE


def _found(count: int | None) -> str:
    return "not asked yet" if count is None else f"{count:,} found" if count else "clean"


class PersonField(forms.ChoiceField):
    """One of those who may be assigned."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Who is chosen; who was before, where that is none of them any more: nobody would look like a choice made."""
        return data if self.valid_value(data) else initial


class AssignForm(forms.Form):
    """Who looks after it, and why; who does already may go on, whatever became of their account."""

    assignee = PersonField(required=False, label="Assign to")
    reason = forms.CharField(
        required=False, max_length=500, widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"})
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        people = get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username")
        names = {name: name for name in people.values_list("username", flat=True)[:MOST_PEOPLE]}
        if (now := self.initial.get("assignee")) and now not in names:
            names[now] = f"{printable(now)} (as it is)"
        self.fields["assignee"].choices = [("", "nobody"), *names.items()]  # type: ignore[attr-defined]


class NoteForm(forms.Form):
    """What the next person should know."""

    note = forms.CharField(
        required=False, max_length=2000, strip=True, widget=forms.Textarea(attrs={"rows": 3, "cols": 60})
    )
