"""Format times, durations and repetitions for people and for the API."""

from datetime import datetime, timedelta

from django.utils.timesince import timesince, timeuntil


def format_instant(moment: datetime) -> str:
    """Return a UTC time in the form of the API contract: `2026-05-18T17:30:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_minute(moment: datetime) -> str:
    """Return a UTC time for pages and messages: `2026-05-18 17:30 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def ago(moment: datetime, depth: int = 2) -> str:
    """Return how long ago a time was, in at most `depth` units: `3 hours ago`."""
    elapsed = timesince(moment, depth=depth)
    return "just now" if elapsed.startswith("0") else f"{elapsed} ago"


def time_left(until: datetime, depth: int = 2) -> str:
    """Return the time until `until`, rounded up to the minute, in at most `depth` units."""
    return timeuntil(until + timedelta(minutes=1), depth=depth)


def times(number: int) -> str:
    """Return a repetition count in words: `once`, `twice`, `1,204 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def duration(start: datetime, end: datetime) -> str:
    """Return the time between two times, in at most two units: `2 days, 3 hours`."""
    return timesince(start, end)
