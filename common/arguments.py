"""Convert text from the command line, REST queries and settings into numbers, durations and times."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.dateparse import parse_datetime

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DURATION: Final = "^[1-9][0-9]{0,7}[smhdw]$"
"""Pattern of a duration in JSON Schema."""
MAX_DURATION: Final = timedelta(days=36_500)


class InvalidInputError(ValueError, ArgumentTypeError):
    """A user entered an invalid value. The message is for the user.

    argparse prints the message because the class derives from ArgumentTypeError. Commands exit with code 2.
    """


def parse_count(text: str) -> int:
    """Return a whole number from 0 to 18 digits."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInputError(f"{text!r} is not a whole number, 0 or more, of at most 18 digits")
    return int(text)


def parse_port(text: str) -> int:
    """Return the number of a TCP port."""
    if 0 < (port := parse_count(text)) < 65536:
        return port
    raise InvalidInputError(f"{text!r} is not a port: expected a number from 1 to 65535")


def parse_seconds(text: str) -> float:
    """Return a number of seconds, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise InvalidInputError(f"{text!r} is not a number of seconds, more than 0 and at most 86400")
    return value


def parse_duration(text: str) -> timedelta:
    """Return a duration such as 30s, 15m, 12h, 7d or 1w, cut to MAX_DURATION."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 9 and unit in UNITS):
        raise InvalidInputError(
            f"{text!r} is not a length of time. Expected: a number and s, m, h, d or w, such as 30s or 7d"
        )
    duration = timedelta(**{UNITS[unit]: int(number)})
    if not duration:
        raise InvalidInputError(f"{text!r} is not more than 0")
    return min(duration, MAX_DURATION)


def parse_pause(text: str) -> float:
    """Return the seconds of a pause such as 30s or 2m, from 0s to an hour."""
    pause = timedelta() if text == "0s" else parse_duration(text)
    if pause > timedelta(hours=1):
        raise InvalidInputError(f"{text!r} is more than an hour. Expected: a pause such as 30s or 2m")
    return pause.total_seconds()


def parse_time(text: str) -> datetime:
    """Return a time in UTC from text with a time zone, such as 2026-05-18T17:30:00Z."""
    try:
        time = parse_datetime(text)
        if time and time.tzinfo:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(f"{text!r} is not a time with a time zone, such as 2026-05-18T17:30:00Z")
