"""The filters of the list of anomalies: each one condition that an index serves."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consistency.history.lists import Agreed, agreed, heard, in_last_scans, in_scan, standing
from consistency.history.names import Names, known_names
from consistency.models.history import Anomaly
from consistency.registry import CHECKS

Found = QuerySet[Anomaly]
Told = TypeVar("Told")


def silent(request: HttpRequest) -> Agreed:
    """What is silent, asked once a request, whose parts must agree."""
    return _once(request, agreed)


def names(request: HttpRequest) -> Names:
    """Which checks and databases there are; likewise."""
    return _once(request, known_names)


def _once(request: HttpRequest, ask: Callable[[], Told]) -> Told:
    known: dict[str, Any] = request.__dict__
    if ask.__name__ not in known:
        known[ask.__name__] = ask()
    told: Told = known[ask.__name__]
    return told


def order(request: HttpRequest) -> tuple[str, ...]:
    """The newest news first; what is resolved by when it was, unless it is asked for when it came."""
    asked = request.GET
    appeared = asked.get("news") == "1" or "age" in asked or "scan" in asked
    if asked.get("news") == "resolved" or (asked.get("state") == "resolved" and not appeared):
        return ("-resolved_at", "-appeared_at", "-id")
    return ("-appeared_at", "-id")


class CheckFilter(admin.SimpleListFilter):
    title, parameter_name = "check", "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name if name in CHECKS else f"{name} (retired)") for name in names(request).checks]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        return queryset.filter(check_name=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """Without a choice: what is open and nobody has silenced."""

    title, parameter_name = "state", "state"
    words = {
        "open": "Open, silenced too",
        "new": "New",
        "ongoing": "Ongoing",
        "returned": "Returned",
        "acknowledged": "Acknowledged",
        "muted": "Muted",
        "retired": "Open, of what is retired",
        "resolved": "Resolved",
        "all": "All",
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.words.items())

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Open, not silenced"}, *others]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        word = self.value()
        return queryset.filter(heard(silent(request)) if word is None else standing(word, silent(request)))


class NewsFilter(admin.SimpleListFilter):
    """Each check has a last scan of its own: one that asked another, or could not ask it, says nothing of it."""

    title, parameter_name = "last scan of its check", "news"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "New or back in it"), ("seen", "Seen by it"), ("resolved", "Resolved by it")]

    def choices(self, changelist: Any) -> Any:
        *others, resolved = super().choices(changelist)
        # By default the list leaves out what is resolved.
        there = changelist.get_query_string({"news": "resolved", "state": "resolved"})
        return [*others, {**resolved, "query_string": there}]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        word = self.value()
        return queryset if word is None else queryset.filter(in_last_scans("new" if word == "1" else word))


class ScanFilter(admin.SimpleListFilter):
    """What one scan counted as new or returned; there to choose from once a link from that scan has named it."""

    title, parameter_name = "scan", "scan"
    words: Final = {"": "New or back in", "-new": "New in", "-returned": "Back in"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if self.value() is None:
            return []
        number = str(self.value()).partition("-")[0]
        return [(f"{number}{kind}", f"{words} scan {number}") for kind, words in self.words.items()]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        if self.value() is None:
            return queryset
        if not (asked := re.fullmatch(r"([0-9]{1,18})(|-new|-returned)", self.value() or "")):
            raise IncorrectLookupParameters
        came = {"": Q(), "-new": Q(returned_count=0), "-returned": Q(returned_count__gt=0)}[asked[2]]
        return queryset.filter(came, in_scan(int(asked[1])))


class DatabaseFilter(admin.SimpleListFilter):
    """Shown where there are several."""

    title, parameter_name = "database", "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name if name in connections else f"{name} (retired)") for name in names(request).databases]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(database=self.value()) if self.value() else queryset


class AgeFilter(admin.SimpleListFilter):
    title, parameter_name = "time when new or back", "age"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("day", "Within a day"),
            ("week", "Within a week"),
            ("old", "Over a week ago"),
            ("month", "Over 30 days ago"),
        ]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        days = {"day": 1, "week": 7, "old": 7, "month": 30}.get(self.value() or "")
        if days is None:
            return queryset
        since = timezone.now() - timedelta(days=days)
        if self.value() in ("day", "week"):
            return queryset.filter(appeared_at__gte=since)
        return queryset.filter(appeared_at__lt=since)


class AssigneeFilter(admin.SimpleListFilter):
    title, parameter_name = "assignee", "assignee"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("me", "Me"), ("nobody", "Nobody"), ("anybody", "Anybody")]

    def queryset(self, request: HttpRequest, queryset: Found) -> Found:
        word = self.value()
        if word == "me":
            return queryset.filter(assignee=request.user.get_username())
        return queryset.filter(assignee__isnull=word == "nobody") if word in ("nobody", "anybody") else queryset
