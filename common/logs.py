"""Keep the log short in an outage: each cause once a minute, and no traceback for an outage."""

import logging
from threading import Lock
from time import monotonic
from typing import Final

from common.errors import first_line, is_outage
from common.text import without_numbers

PERIOD: Final = 60.0
# Seconds until a cause and its number of dropped records are forgotten.
MEMORY: Final = 10 * PERIOD


class RepeatFilter(logging.Filter):
    """Drop a record whose cause was logged within the last minute; the next record tells how many were dropped.

    A record with `extra={"transition": True}` is never dropped, because the last line must be the current state.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._logged: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        if record.exc_info and (error := record.exc_info[1]) and is_outage(error):
            _set_message(record, f"{record.getMessage()}: {first_line(error)}")
            record.exc_info = record.exc_text = None
        if record.levelno < logging.WARNING or getattr(record, "transition", False):
            return True
        now, cause = monotonic(), _cause(record)
        with self._lock:
            since, dropped = self._logged.get(cause, (-PERIOD, 0))
            if now - since < PERIOD:
                self._logged[cause] = since, dropped + 1
                return False
            self._logged = {known: value for known, value in self._logged.items() if now - value[0] < MEMORY}
            self._logged[cause] = now, 0
        if dropped:
            _set_message(record, f"{record.getMessage()} ({dropped} repeats left out)")
        return True


def _cause(record: logging.LogRecord) -> object:
    """Return the place of an exception, else the message without numbers."""
    if record.exc_info and record.exc_info[1] and (place := record.exc_info[1].__traceback__):
        while place.tb_next:
            place = place.tb_next
        return type(record.exc_info[1]), place.tb_frame.f_code, place.tb_lineno
    return record.name, record.levelno, without_numbers(record.getMessage())


def _set_message(record: logging.LogRecord, message: str) -> None:
    record.msg, record.args = message, ()
