"""Filters beside the lists. Conditions come from consistency/history/filters.py where REST has the same filter."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consistency.history import queries
from consistency.history.filters import AnomalyFilter
from consistency.models.history import OPEN, Category, EventKind, State
from consistency.registry import CHECKS

Choices = list[tuple[str, str]]
Rows = QuerySet[Any]


def list_order(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the order of a list with these parameters.

    Open anomalies come by severity, then newest first. Other lists come by time: of the event of a chosen scan, or of
    the resolution.
    """
    if "scan" in query:
        return ("-scan_event",)
    by_appearance = query.get("news") == "1" or "age" in query
    if query.get("news") == "resolved" or (query.get("state") == "resolved" and not by_appearance):
        return ("-resolved_event",)
    # A search without a chosen state searches all states.
    searches_all = "state" not in query and bool(query.get(SEARCH_VAR, "").strip())
    by_time = searches_all or query.get("state") in ("all", State.RESOLVED)
    return ("-appeared_event",) if by_time else ("-severity", "-appeared_event")


def is_resolved_list(request: HttpRequest) -> bool:
    """Return True for the list of resolved anomalies, which has columns of its own."""
    return request.GET.get("state") == State.RESOLVED


class ConditionFilter(admin.SimpleListFilter):
    """A filter with a title and a condition for each value."""

    conditions: ClassVar[dict[str, tuple[str, Callable[[HttpRequest], Q]]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(value, title) for value, (title, _) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if (value := self.value()) is None:
            return queryset
        if value not in self.conditions:
            raise IncorrectLookupParameters
        return queryset.filter(self.conditions[value][1](request))


class ParameterFilter(admin.SimpleListFilter):
    """A filter with the condition of the same parameter of AnomalyFilter."""

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        value = self.value()
        return queryset if value is None else self.filtered(queryset, value)

    def filtered(self, queryset: Rows, value: str) -> Rows:
        """Return the rows that match a value of the parameter."""
        parameter: Any = AnomalyFilter.base_filters[self.parameter_name]
        try:
            rows: Rows = parameter.filter(queryset, parameter.field.clean([value]))
        except ValidationError:
            raise IncorrectLookupParameters from None
        return rows


class CheckFilter(ParameterFilter):
    title, parameter_name = "check", "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(name, name if name in CHECKS else f"{name} (retired)") for name in queries.check_names()]


class CauseFilter(ParameterFilter):
    """Links of the page of causes choose the cause."""

    title, parameter_name = "cause", "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(cause, cause) for cause in [self.value()] if cause is not None]


class DatabaseFilter(ParameterFilter):
    """Visible if there are several databases."""

    title, parameter_name = "database", "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(name, name) for name in connections]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1


class StateFilter(ParameterFilter):
    """Without a choice the list shows open anomalies that are not suppressed; a search finds all states."""

    title, parameter_name = "state", "state"
    titles: Final = {
        "open": "Open, also suppressed",
        "new": "New",
        "ongoing": "Ongoing",
        "returned": "Returned",
        "acknowledged": "Acknowledged",
        "muted": "Muted",
        "retired": "Open, check retired",
        "resolved": "Resolved",
        "all": "All",
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return list(self.titles.items())

    def choices(self, changelist: Any) -> Any:
        default, *choices = super().choices(changelist)
        return [{**default, "display": "All found" if changelist.query.strip() else "Open, not suppressed"}, *choices]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if self.value() or request.GET.get(SEARCH_VAR, "").strip() or "resolved_since" in request.GET:
            return super().queryset(request, queryset)
        return queryset.filter(queries.unsuppressed())


class CategoryFilter(ParameterFilter):
    """Beside the acknowledged anomalies, with the number of each category."""

    title, parameter_name = "category", "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        if self.value() is None and request.GET.get("state") != "acknowledged":
            return []
        numbers = queries.acknowledged_by_category()
        return [(value, f"{label} ({numbers.get(value, 0):,})") for value, label in Category.choices]


class ReviewFilter(ConditionFilter):
    """By the review mark of a person."""

    title, parameter_name = "review", "review"
    conditions: ClassVar = {"needed": ("Needs review", lambda request: queries.needs_review())}


class LastScanFilter(ConditionFilter):
    """By the last scan that ran the check of the anomaly."""

    title, parameter_name = "last scan of its check", "news"
    conditions: ClassVar = {
        "1": ("New or returned in it", lambda request: queries.appeared_in_last_scans()),
        "seen": ("Seen by it", lambda request: OPEN),
        "resolved": ("Resolved by it", lambda request: queries.resolved_in_last_scans()),
    }

    def choices(self, changelist: Any) -> Any:
        *choices, resolved = super().choices(changelist)
        # By default the list leaves out resolved anomalies.
        link = changelist.get_query_string({"news": "resolved", "state": "resolved"})
        return [*choices, {**resolved, "query_string": link}]


class ScanFilter(admin.SimpleListFilter):
    """By a scan that found, returned or resolved the anomaly. Links of the scan pages choose the scan."""

    title, parameter_name = "scan", "scan"
    kinds: Final = {"new": EventKind.FOUND, "returned": EventKind.RETURNED, "resolved": EventKind.RESOLVED}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        if self.value() is None:
            return []
        number = str(self.value()).partition("-")[0]
        return [(f"{number}-{word}", f"{word.capitalize()} in scan {number}") for word in self.kinds]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if (value := self.value()) is None:
            return queryset
        if not (match := re.fullmatch(rf"([0-9]{{1,18}})-({'|'.join(self.kinds)})", str(value))):
            raise IncorrectLookupParameters
        return queries.changed_by_scan(queryset, int(match[1]), self.kinds[match[2]])


def _since(days: int) -> Q:
    return queries.appeared_since(timezone.now() - timedelta(days=days))


class AgeFilter(ConditionFilter):
    title, parameter_name = "time when new or returned", "age"
    conditions: ClassVar = {
        "day": ("Last 24 hours", lambda request: _since(1)),
        "week": ("Last 7 days", lambda request: _since(7)),
        "old": ("Over a week ago", lambda request: ~_since(7)),
        "month": ("Over 30 days ago", lambda request: ~_since(30)),
    }


class ResolvedSinceFilter(ParameterFilter):
    """By the time of resolution, beside the list of resolved anomalies."""

    title, parameter_name = "time of resolution", "resolved_since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        choices = [("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days")]
        return choices if is_resolved_list(request) or self.value() else []


class AssigneeFilter(ConditionFilter):
    title, parameter_name = "assignee", "assignee"
    conditions: ClassVar = {
        "me": ("Me", lambda request: Q(assignee=request.user.get_username())),
        "nobody": ("Nobody", lambda request: Q(assignee__isnull=True)),
        "anybody": ("Anybody", lambda request: Q(assignee__isnull=False)),
    }
