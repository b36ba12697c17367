"""Turn exceptions into short words for users, without secrets, hosts, paths or SQL."""

import errno
import logging
import os
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from django.apps import apps
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

from common.meanings import (
    EXHAUSTED,
    HTTP,
    NO_CONNECTION,
    OUTAGE,
    READ_ONLY,
    REFUSED,
    SQLSTATE,
    TEXT,
    TLS_FAILED,
    UNDEFINED_TABLE,
    Kind,
    Meaning,
)

log = logging.getLogger(__name__)

DATABASE_ERRORS: Final = (OperationalError, InterfaceError)
MEDIA_TABLES: Final = frozenset({"files", "monitor_jobs", "schema_migrations", "identities", "runtime_switches"})
NOT_MIGRATED: Final = (
    "Continuity's tables are not in the database."
    " Run manage.py migrate; attach an existing platform first (docs/operate.md)"
)
NO_MEDIA_TABLE: Final = (
    "The database has no table {}. The media server creates the table, or manage.py migrate in a new database"
)
# The system's own words are clear enough for these.
NETWORK: Final = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH)
DISK: Final = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ESTALE)
NAME: Final = re.compile(
    r'(?:relation|table|enum \w+:|schema|view|column) "?(?:u\d+\.)?([\w.]+)"?|operator does not exist: (.+)'
)
ROW_SECURITY: Final = "row-level security applies to {}; grant BYPASSRLS to this role"
# For errors on Continuity's own tables.
OWN_TABLES: Final = {"42501": "no permission to write Continuity's tables", UNDEFINED_TABLE: NOT_MIGRATED}
CLIENTS: Final = ("psycopg", "django", "redis", "httpx", "httpcore", "socket")


def explain(error: BaseException, waited: float = 0.0) -> str | None:
    """Return the meaning of an exception in a few words; None if the exception is unforeseen.

    `waited` is the number of seconds until a timeout. Causes are searched too, because libraries wrap errors.
    """
    if meaning := meaning_of(error, waited):
        return meaning.words
    if not is_outage(error):
        return None
    log.warning("PostgreSQL refuses a connection: %s", first_line(error))
    return NO_CONNECTION


def meaning_of(error: BaseException, waited: float = 0.0) -> Meaning | None:
    """Return the row of the table for an exception; None without a row."""
    for link in _causes(error):
        if meaning := _by_code(link) or _by_class(link, waited):
            return meaning
    return next((meaning for link in _causes(error) if (meaning := _by_text(link))), None)


def no_answer(seconds: float) -> str:
    """Return the words for a timeout after `seconds`; 0 if the time is unknown."""
    return f"no answer within {seconds:.1f} s".replace(".0 s", " s") if seconds else "no answer in time"


def no_answer_for(seconds: float) -> str:
    """Return the words for a last answer `seconds` ago."""
    return f"no answer for {max(1, round(seconds))} s"


def is_timeout(error: BaseException) -> bool:
    """Return whether the wait for an answer ended too early or too late. A refusal is no timeout."""
    meaning = meaning_of(error)
    return meaning is not None and meaning.words == no_answer(0)


def is_outage(error: BaseException) -> bool:
    """Return whether PostgreSQL is unreachable, too late or exhausted. A refused statement is no outage."""
    return kind_of(error) in (OUTAGE, EXHAUSTED)


def kind_of(error: BaseException) -> Kind | None:
    """Return the kind of an error of PostgreSQL; None for an error of another origin."""
    if not isinstance(error, DATABASE_ERRORS):
        return None
    if (state := _state(error)) is None:  # the server sent nothing, refused the connection, or was too late
        return OUTAGE
    row = _row(state)
    return row.kind if row else REFUSED


def is_read_only(error: BaseException) -> bool:
    """Return whether a write failed because PostgreSQL is a standby or set to read-only."""
    return isinstance(error, InternalError) and _state(error) == READ_ONLY


def is_row_security(error: BaseException) -> bool:
    """Return whether PostgreSQL refused a query that row-level security would filter."""
    cause: Any = error if isinstance(error, psycopg.Error) else error.__cause__
    # The SQLSTATE is that of a missing grant, and the message is in the language of the server.
    return isinstance(cause, psycopg.Error) and cause.diag.source_function == "check_enable_rls"


def is_missing_table(error: BaseException) -> bool:
    """Return whether a statement names a table that does not exist."""
    return isinstance(error, ProgrammingError) and _state(error) == UNDEFINED_TABLE


def missing_table(error: BaseException) -> str | None:
    """Return the next step for a missing table of a model; None for any other error, including unknown tables."""
    if not is_missing_table(error) or not (table := _model_table(error)):
        return None
    return NO_MEDIA_TABLE.format(table) if table in MEDIA_TABLES else NOT_MIGRATED


def outage_message(error: BaseException) -> str:
    """Return the message of a command that could not reach PostgreSQL."""
    return (
        f"PostgreSQL (DATABASE_URL) does not answer: {first_line(error)}. Start it or correct the URL, then try again."
    )


def first_line(error: BaseException) -> str:
    """Return the first line of the error's own text, for a log or a terminal only: the text may name hosts."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    visited: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in visited:
        visited.append(link)
        yield link
        link = link.__cause__ or link.__context__


def _by_code(error: BaseException) -> Meaning | None:
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's, not the system's
        return TLS_FAILED
    if isinstance(error, OSError) and error.errno in NETWORK + DISK:
        return Meaning(OUTAGE, os.strerror(error.errno).lower())
    if (state := getattr(error, "sqlstate", None)) and (row := _row(state)):
        return _by_state(error, state, row)
    status = getattr(getattr(error, "response", error), "status_code", None)
    return HTTP.get(status, Meaning(OUTAGE, f"answered with HTTP {status}")) if isinstance(status, int) else None


def _by_state(error: Any, state: str, row: Meaning) -> Meaning:
    if state.startswith("08"):
        return _by_text(error) or row
    if state in OWN_TABLES and (table := _model_table(error)) and table not in MEDIA_TABLES:
        return row._replace(words=OWN_TABLES[state])
    message = error.diag.message_primary or ""
    if is_row_security(error):
        return row._replace(words=ROW_SECURITY.format(message.partition('"')[2].rpartition('"')[0] or "a table"))
    match = NAME.search(message)
    name = next(filter(None, match.groups()), None) if match else None
    return row._replace(words=row.named.format(name)) if name and row.named else row


def _by_class(error: BaseException, waited: float) -> Meaning | None:
    # By name: an import of every client library, for isinstance(), would cost more than a second.
    names = " ".join(base.__name__.lower() for base in type(error).__mro__)
    return Meaning(OUTAGE, no_answer(waited)) if "timeout" in names or "deadlineerror" in names else None


def _by_text(error: BaseException) -> Meaning | None:
    # Errors of network and database clients only: a bug in Continuity may have any text.
    if type(error).__module__.partition(".")[0] not in CLIENTS:
        return None
    # A host, a role or a database may have any name.
    text = re.sub('"[^"]*"', '""', f"{type(error).__name__}: {error}".lower())
    return next((meaning for pattern, meaning in TEXT if re.search(pattern, text)), None)


def _row(state: str) -> Meaning | None:
    return next((SQLSTATE[key] for key in (state, state[:3], state[:2]) if key in SQLSTATE), None)


def _state(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)


def _model_table(error: BaseException) -> str | None:
    # Only the message names the table, in the language of the server.
    names = set(re.findall(r"\w+", str(error)))
    tables = (model._meta.db_table for model in apps.get_models() if model._meta.managed)
    return next((table for table in tables if table in names), None)
