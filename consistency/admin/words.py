"""Times and numbers as people say them."""

from datetime import datetime, timedelta

from django.utils.timesince import timesince, timeuntil


def ago(at: datetime, depth: int = 2) -> str:
    """How long it is past."""
    told = timesince(at, depth=depth)
    return "just now" if told.startswith("0") else f"{told} ago"


def left(until: datetime, depth: int = 2) -> str:
    """How long it is to go, rounded up: a week just begun is a week."""
    return timeuntil(until + timedelta(minutes=1), depth=depth)


def times(number: int) -> str:
    """How often."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def minute(at: datetime) -> str:
    """A time in UTC, as lists show it."""
    return f"{at:%Y-%m-%d %H:%M}"
