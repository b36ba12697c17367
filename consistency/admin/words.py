"""Times, numbers and silences as people say them."""

from datetime import datetime, timedelta

from django.utils.timesince import timesince, timeuntil

from consistency.formats import minute
from consistency.legible import harmless


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


def agreed(by: str, until: datetime, reason: str) -> str:
    """What was agreed to silence: by whom, how long, and why."""
    return f"by {harmless(by)} until {minute(until)}, {left(until)} left: {harmless(reason)}"
