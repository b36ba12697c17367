"""Filters of scans and anomalies for REST and the show commands; the admin's filters use the same conditions.

Add a filter here. A choice beside the admin's list also needs a class in consistency/admin/filters.py.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.drainage import set_override

from common.arguments import DURATION, parse_count, parse_duration, parse_time
from common.choices import validate_choice
from consistency.history import queries
from consistency.models.history import Anomaly, Category, Scan, State
from consistency.registry import Severity

SEVERITIES: Final = {severity.word: severity for severity in Severity}
SWITCH: Final = ("0", "1")
REVIEW: Final = ("needed",)
SINCE: Final = {"type": "string", "anyOf": [{"pattern": DURATION}, {"format": "date-time"}]}


class ParameterWidget(forms.Widget):
    """Read the values of a parameter."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return list(data.getlist(name))


class ParameterField(forms.Field):
    """A parameter that is given once, or a list: repeated, or separated by commas."""

    widget = ParameterWidget

    def __init__(self, *, parse: Callable[[str], Any], many: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.parse, self.many = parse, many

    def to_python(self, value: Any) -> Any:
        """Return the parsed value or values; None if the parameter is absent."""
        if any("\0" in text for text in value):
            raise ValidationError("the value may not hold the character NUL.")
        try:
            if self.many:
                return [self.parse(word) for text in value for word in text.split(",")] or None
            if len(value) > 1:
                raise ValidationError("the parameter may be given once.")
            return self.parse(value[0]) if value else None
        except ValueError as error:
            # A text of its own would be a format: django-filter applies `%` to every message.
            raise ValidationError("%(problem)s", params={"problem": error}) from None


class Parameter(django_filters.Filter):  # type: ignore[misc]
    """A filter by one parameter: `parse` converts a value, `condition` returns the Q of the parsed value."""

    field_class = ParameterField

    def __init__(
        self,
        condition: Callable[[Any], Q],
        *,
        parse: Callable[[str], Any] = str,
        many: bool = False,
        schema: dict[str, Any] | None = None,
        help_text: str,
    ) -> None:
        super().__init__(parse=parse, many=many, help_text=help_text, required=False)
        self.condition = condition
        item = schema or {"type": "string"}
        whole = {"type": "array", "items": item} if many else item
        set_override(self, "field", whole | {"description": help_text})

    def filter(self, qs: "QuerySet[Any]", value: Any) -> "QuerySet[Any]":
        return qs if value is None else qs.filter(self.condition(value))


def choice(kind: str, allowed: Any) -> Callable[[str], str]:
    """Return a parser that accepts the words of `allowed` and suggests the nearest word."""
    return lambda word: validate_choice(kind, word, allowed)


def parse_since(text: str) -> datetime:
    """Return a time: a duration before now, or an instant with its zone."""
    with suppress(ValueError):
        return timezone.now() - parse_duration(text)
    with suppress(ValueError):
        return parse_time(text)
    raise ValueError(
        f"{text!r} is no time. Expected: a duration such as 24h or 7d, or an instant such as 2026-05-18T17:30:00Z."
    )


def _switch(name: str) -> Callable[[str], bool]:
    return lambda word: validate_choice(f"value of {name}", word, SWITCH) == "1"


def _database() -> Parameter:
    return Parameter(
        lambda name: Q(database=name),
        parse=queries.validate_database,
        help_text="Of this database.",
    )


class AnomalyFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of anomalies. Without `state` only open anomalies match."""

    check = Parameter(
        lambda names: Q(check_name__in=names),
        parse=queries.validate_check,
        many=True,
        help_text="Of these checks, also retired ones; repeated, or with commas.",
    )
    severity = Parameter(
        lambda names: Q(severity__in=[SEVERITIES[name] for name in names]),
        parse=choice("severity", SEVERITIES),
        many=True,
        schema={"type": "string", "enum": list(SEVERITIES)},
        help_text=f"Of these severities: {', '.join(SEVERITIES)}; repeated, or with commas.",
    )
    state = Parameter(
        queries.in_state,
        parse=choice("state", queries.STATES),
        schema={"type": "string", "enum": list(queries.STATES), "default": "open"},
        help_text=f"{', '.join(queries.STATES)}; open by default.",
    )
    category = Parameter(
        lambda names: queries.acknowledged() & Q(acknowledged_category__in=names),
        parse=choice("category", Category.values),
        many=True,
        schema={"type": "string", "enum": Category.values},
        help_text=f"Acknowledged for one of these kinds of reasons: {', '.join(Category.values)}.",
    )
    cause = Parameter(
        lambda text: Q(cause=text), help_text="With this cause: the detail with _ for each number, time or uuid."
    )
    assignee = Parameter(lambda name: Q(assignee=name), help_text="Assigned to this person.")
    database = _database()
    silenced = Parameter(
        queries.suppressed,
        parse=_switch("silenced"),
        schema={"type": "string", "enum": list(SWITCH)},
        help_text="1: acknowledged or muted; 0: neither.",
    )
    since = Parameter(
        queries.appeared_since,
        parse=parse_since,
        schema=SINCE,
        help_text="New or returned since then: 24h, 7d, or 2026-05-18T17:30:00Z.",
    )
    resolved_since = Parameter(
        queries.resolved_since,
        parse=parse_since,
        schema=SINCE,
        help_text="Resolved since then: 24h, 7d, or 2026-05-18T17:30:00Z. Without state, resolved anomalies match.",
    )
    review = Parameter(
        lambda word: queries.needs_review(),
        parse=choice("review", REVIEW),
        schema={"type": "string", "enum": list(REVIEW)},
        help_text="needed: open, not suppressed, and not reviewed since found or returned.",
    )
    scan = Parameter(
        lambda number: Q(appeared_scan=number),
        parse=parse_count,
        schema={"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
        help_text="New or returned in the scan of this number; with the state all, also those resolved since.",
    )
    uuid = Parameter(
        lambda text: queries.starts_with(text, "file_uuid", "object_id"),
        help_text="Prefix of the file's uuid, the job's number or the identity's uuid.",
    )
    name = Parameter(
        lambda text: queries.starts_with(text, "file_name"), help_text="Prefix of the file's name; case matters."
    )

    class Meta:
        model = Anomaly
        fields: list[str] = []

    def filter_queryset(self, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Apply the parameters in the order of the list: resolved anomalies by resolution."""
        values = self.form.cleaned_data
        if values["state"] is None and values["resolved_since"] is None:
            queryset = queryset.filter(queries.in_state("open"))
        by_resolution = values["resolved_since"] is not None or (
            values["state"] == State.RESOLVED and values["since"] is None and values["scan"] is None
        )
        filtered: QuerySet[Any] = super().filter_queryset(queryset)
        return filtered.order_by(queries.list_order(by_resolution))


class ScanFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of recorded scans."""

    database = _database()
    complete = Parameter(
        lambda value: Q(complete=value),
        parse=_switch("complete"),
        schema={"type": "string", "enum": list(SWITCH)},
        help_text="1: every check ran; 0: some check could not run.",
    )

    class Meta:
        model = Scan
        fields: list[str] = []


def first_error(filterset: django_filters.FilterSet) -> str | None:
    """Return the first problem of the parameters; None for valid parameters."""
    if filterset.is_valid():
        return None
    name, problems = next(iter(filterset.errors.items()))
    text = str(problems[0])
    return text if name in text or text.startswith("unknown") else f"{name}: {text}"
