"""Log an outage of PostgreSQL once, however many requests fail."""

import logging
from threading import Lock
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from common.errors import explain, first_line, is_outage

log = logging.getLogger(__name__)

_lock = Lock()
_announced = False


def report(error: BaseException) -> None:
    """Log an outage once per process, and a refused statement each time, with a traceback if unforeseen."""
    global _announced
    if not is_outage(error):
        log.error("PostgreSQL refused a statement: %s", first_line(error), exc_info=None if explain(error) else error)
        return
    with _lock:
        first, _announced = not _announced, True
    if first:
        log.error("PostgreSQL does not answer; requests that need it are answered with 503: %s", first_line(error))


@receiver(connection_created)
def _connected(connection: BaseDatabaseWrapper, **_: Any) -> None:
    global _announced
    if connection.alias != DEFAULT_DB_ALIAS:
        return
    with _lock:
        ended, _announced = _announced, False
    if ended:
        log.warning("PostgreSQL answers again")
