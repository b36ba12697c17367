"""PostgreSQL does not answer, or has no tables yet: how to tell, and the one line in the log that it is worth."""

import logging
import re
from threading import Lock
from typing import Any, Final

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

log = logging.getLogger(__name__)

DATABASE_ERRORS: Final = (OperationalError, InterfaceError)
# Connection lost (08), too many connections, no memory, no disk (53), the server shuts down or starts up (57P).
OUTAGE_STATES: Final = ("08", "53", "57P")
UNDEFINED_TABLE: Final = "42P01"
READ_ONLY: Final = "25006"
MEDIA: Final = (
    "consistency.File",
    "consistency.MonitorJob",
    "health.RuntimeSwitch",
    "health.SchemaMigration",
    "identities.Identity",
)
NOT_MIGRATED: Final = "The database is not migrated. Run: manage.py migrate"
NO_SUCH_TABLE: Final = (
    "The database has no table {}. The media server makes it, or, in a database of Continuity's own: manage.py migrate"
)

_lock = Lock()
_announced = False


def is_outage(error: BaseException) -> bool:
    """Whether PostgreSQL could not be asked or did not answer in time, rather than refused one statement."""
    if not isinstance(error, DATABASE_ERRORS):
        return False
    # psycopg has no SQLSTATE where the server sent nothing: refused, closed, past the deadline.
    state = _state(error)
    return state is None or state.startswith(OUTAGE_STATES)


def missing_table(error: BaseException) -> str | None:
    """What to do about a missing table, ours or the media server's; None if it is anybody else's, which is a bug."""
    if not isinstance(error, ProgrammingError) or _state(error) != UNDEFINED_TABLE:
        return None
    # PostgreSQL says which one only in words, of the server's language.
    words = set(re.findall(r"\w+", str(error)))
    for model in apps.get_models():
        if model._meta.managed and model._meta.db_table in words:
            return NO_SUCH_TABLE.format(model._meta.db_table) if model._meta.label in MEDIA else NOT_MIGRATED
    return None


def is_read_only(error: BaseException) -> bool:
    """Whether something was to be saved while PostgreSQL takes nothing: a standby, or set so."""
    return isinstance(error, InternalError) and _state(error) == READ_ONLY


def report(error: BaseException) -> None:
    """Log an error of the database: an outage once in this process until it is over, anything else each time."""
    global _announced
    if not is_outage(error):
        log.error("PostgreSQL refused a statement", exc_info=error)
        return
    with _lock:
        first, _announced = not _announced, True
    if first:
        log.error("PostgreSQL does not answer; what needs it is answered with 503: %s", first_line(error))


def _state(error: BaseException) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def first_line(error: BaseException) -> str:
    """Return what it says, for one line of a log or a terminal."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def away(error: BaseException) -> str:
    """Return what an outage comes to for who runs a command, and what to do about it."""
    return (
        f"PostgreSQL (DATABASE_URL) does not answer: {first_line(error)}. Start it or correct the URL, then try again."
    )


@receiver(connection_created)
def _connected(connection: BaseDatabaseWrapper, **_: Any) -> None:
    global _announced
    if connection.alias != DEFAULT_DB_ALIAS:
        return
    with _lock:
        over, _announced = _announced, False
    if over:
        log.warning("PostgreSQL answers again")
