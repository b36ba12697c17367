"""Times, numbers and silences as people say them."""

from datetime import datetime

from common.text import printable
from common.times import format_minute, time_left


def agreed(by: str, until: datetime, reason: str) -> str:
    """What was agreed to silence: by whom, how long, and why."""
    return f"by {printable(by)} until {format_minute(until)}, {time_left(until)} left: {printable(reason)}"
