"""What the query of a list may hold, read into a QuerySet; what it may not is refused with what it may."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, overload

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from common.arguments import InvalidInputError, parse_count, parse_duration, parse_time
from common.choices import validate_choice
from consistency.history import names
from consistency.history.lists import Agreed, beginning, heard, in_scan, silenced, standing
from consistency.history.silence import MEMORY
from consistency.models.history import Anomaly, Scan, State
from consistency.registry import Severity

LARGEST_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100
PAGE: Final = ("limit", "cursor")
STATES: Final = ("open", *State.values, "acknowledged", "muted", "retired", "all")
SEVERITIES: Final = {severity.word: severity for severity in Severity}
SWITCH: Final = ("0", "1")
ANOMALIES: Final = (
    "check", "severity", "state", "assignee", "database", "silenced", "since", "scan", "uuid", "name", *PAGE
)  # fmt: skip
SCANS: Final = ("database", "complete", *PAGE)


class ParameterError(InvalidInputError):
    """A value that a parameter may not have; the text says which it may."""


def only(parameters: QueryDict, allowed: tuple[str, ...]) -> None:
    """Refuse a parameter that is none of these."""
    for name in parameters:
        if not allowed:
            raise ParameterError(f"{name!r} is not known here: this address takes no parameters.")
        validate_choice("parameter", name, allowed)


def anomalies(parameters: QueryDict, agreed: Agreed) -> QuerySet[Anomaly]:
    """The anomalies that it asks for, by when they were news last; resolved ones by when they were resolved, unless
    it is asked for when they came.
    """
    only(parameters, ANOMALIES)
    state = validate_choice("state", _word(parameters, "state", "open"), STATES)
    found = Anomaly.objects.using(MEMORY).filter(standing(state, agreed))
    for name, condition in _CONDITIONS.items():
        if words := _words(parameters, name):
            found = found.filter(condition(words))
    if (word := _word(parameters, "silenced")) is not None:
        silent = validate_choice("value of silenced", word, SWITCH) == "1"
        found = found.filter(silenced(agreed) if silent else _not_silenced(state, agreed))
    if state == State.RESOLVED and not {"since", "scan"} & parameters.keys():
        return found.order_by("-resolved_at", "-appeared_at", "-id")
    return found.order_by("-appeared_at", "-id")


def _not_silenced(state: str, agreed: Agreed) -> Q:
    """What is heard, and all that is resolved."""
    if state in ("acknowledged", "muted"):
        return Q(pk__in=[])
    return Q(resolved_at__isnull=False) | heard(agreed)


def scans(parameters: QueryDict) -> QuerySet[Scan]:
    """The scans that it asks for."""
    only(parameters, SCANS)
    found = Scan.objects.using(MEMORY).prefetch_related("checks")
    if (word := _word(parameters, "database")) is not None:
        found = found.filter(database=names.database(word))
    if (word := _word(parameters, "complete")) is not None:
        found = found.filter(complete=validate_choice("value of complete", word, SWITCH) == "1")
    return found


def database(parameters: QueryDict) -> str:
    """Which one is meant."""
    only(parameters, ("database",))
    return names.database(_word(parameters, "database", MEMORY))


def limit(parameters: QueryDict) -> int:
    """How many rows a page has."""
    value = _word(parameters, "limit")
    if value is None:
        return DEFAULT_PAGE
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= LARGEST_PAGE):
        raise ParameterError(f"limit must be one whole number from 1 to {LARGEST_PAGE}.")
    return int(value)


def cursor(parameters: QueryDict) -> str | None:
    """Where the page starts, if it is not the first."""
    return _word(parameters, "cursor")


@overload
def _word(parameters: QueryDict, name: str) -> str | None: ...
@overload
def _word(parameters: QueryDict, name: str, default: str) -> str: ...
def _word(parameters: QueryDict, name: str, default: str | None = None) -> str | None:
    values = parameters.getlist(name)
    if len(values) > 1:
        raise ParameterError(f"{name} may be given once.")
    if values and "\0" in values[0]:
        raise ParameterError(f"{name} may not hold the character NUL.")
    return values[0] if values else default


def _words(parameters: QueryDict, name: str) -> list[str]:
    if name in _PLURAL:
        return [word for value in parameters.getlist(name) for word in value.split(",")]
    word = _word(parameters, name)
    return [] if word is None else [word]


def _checks(words: list[str]) -> Q:
    return Q(check_name__in={names.check(word) for word in dict.fromkeys(words)})


def _since(words: list[str]) -> Q:
    return Q(appeared_at__gte=_moment(words[0]))


def _scan(words: list[str]) -> Q:
    try:
        number = parse_count(words[0])
    except ValueError as problem:
        raise ParameterError(f"scan={problem}.") from None
    return in_scan(number)


def _moment(word: str) -> datetime:
    with suppress(ValueError):
        return timezone.now() - parse_duration(word)
    with suppress(ValueError):
        return parse_time(word)
    raise ParameterError(
        f"since={word!r} is no time. Expected: a length of time such as 24h or 7d, or an instant such as "
        "2026-05-18T17:30:00Z."
    )


_PLURAL: Final = ("check", "severity")
_CONDITIONS: Final[dict[str, Callable[[list[str]], Any]]] = {
    "check": _checks,
    "severity": lambda words: Q(
        severity__in=[SEVERITIES[validate_choice("severity", word, SEVERITIES)] for word in words]
    ),
    "assignee": lambda words: Q(assignee=words[0]),
    "database": lambda words: Q(database=names.database(words[0])),
    "since": _since,
    "scan": _scan,
    "uuid": lambda words: beginning(words[0], "file_uuid", "object_id"),
    "name": lambda words: beginning(words[0], "file_name"),
}
