"""What the command line accepts, converted, or refused with words that help."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils.dateparse import parse_datetime

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST: Final = timedelta(days=36_500)
"""A hundred years stand for all that is longer, which a calendar or a clock could not count."""


def argument(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show the text of what `convert` raises: it keeps that of a ValueError to itself."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as problem:
            raise ArgumentTypeError(str(problem)) from None

    return converted


def whole_number(text: str) -> int:
    """A number of rows."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{text!r} is not a whole number, 0 or more, that PostgreSQL can count to")
    return int(text)


def seconds(text: str) -> float:
    """A length of time, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise ValueError(f"{text!r} is not a number of seconds, more than 0 and at most 86400")
    return value


def pause(text: str) -> float:
    """Seconds between two looks, at most an hour; 0s is none."""
    length = timedelta() if text == "0s" else duration(text)
    if length > timedelta(hours=1):
        raise ValueError(f"{text!r} is more than an hour: a recording waits all that time. Expected: such as 30s or 2m")
    return length.total_seconds()


def duration(text: str) -> timedelta:
    """A length of time with its unit, such as 30s, 15m, 12h, 7d or 1w; what uses it says how long it may be."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 9 and unit in UNITS):
        raise ValueError(f"{text!r} is not a length of time. Expected: a number and s, m, h, d or w, such as 30s or 7d")
    length = timedelta(**{UNITS[unit]: int(number)})
    if not length:
        raise ValueError(f"{text!r} is not more than 0")
    return min(length, LONGEST)


def point_in_time(text: str) -> datetime:
    """A moment with its zone, such as 2026-05-18T17:30:00Z, in UTC."""
    try:
        moment = parse_datetime(text)
        if moment and moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text!r} is no instant with its zone, such as 2026-05-18T17:30:00Z")
