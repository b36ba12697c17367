"""Turn exceptions into short words for users, without secrets, hosts, paths or SQL."""

import errno
import os
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from django.apps import apps
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

DATABASE_ERRORS: Final = (OperationalError, InterfaceError)
UNDEFINED_TABLE: Final = "42P01"
READ_ONLY: Final = "25006"
# Connection lost (08), no connections, memory or disk (53), server starting or stopping (57P).
OUTAGE_STATES: Final = ("08", "53", "57P")
MEDIA_TABLES: Final = frozenset({"files", "monitor_jobs", "schema_migrations", "identities", "runtime_switches"})
NOT_MIGRATED: Final = (
    "Continuity's tables are not in the database."
    " Run manage.py migrate; attach an existing platform first (docs/operate.md)"
)
NO_MEDIA_TABLE: Final = (
    "The database has no table {}. The media server creates the table, or manage.py migrate in a new database"
)

REFUSED: Final = "connection refused"
LOST: Final = "connection lost"
UNKNOWN_HOST: Final = "host name not found"
BAD_CREDENTIALS: Final = "password or key refused"
STARTING: Final = "starting up or shutting down"
TOO_MANY: Final = "too many connections"

# The system's own words are clear enough for these.
NETWORK: Final = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH)
DISK: Final = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ESTALE)
SQLSTATE: Final = {
    "0A000": "PostgreSQL does not support its query",
    "22P02": "a column's type does not know a word",
    "23505": "another session made the same change at the same time. Try again",
    READ_ONLY: "PostgreSQL is read-only",
    "25P03": LOST,
    "25P04": "transaction_timeout of the database is too short",
    "28000": BAD_CREDENTIALS,
    "28P01": BAD_CREDENTIALS,
    "3D000": "database not found",
    "40001": "PostgreSQL ended the transaction because of a concurrent change. Try again",
    "40P01": "another session changed the same rows. Try again",
    "42501": "permission denied",
    "42703": "a column is missing",
    "42883": "columns have types that cannot be compared",
    UNDEFINED_TABLE: "a table is missing",
    "53100": "disk full",
    "53300": TOO_MANY,
    "54000": "a value is longer than PostgreSQL can index (about 2,700 bytes)",
    "55P03": "another session has locked a table",
    "57014": "query cancelled",
    "57P01": LOST,
    "57P02": LOST,
    "57P03": STARTING,
}
# Preferred where PostgreSQL's message holds the name. Messages of a server in another language have none.
NAMED: Final = {
    "22P02": "a column's type does not know the word {}",
    "42501": "no permission to read {}",
    "42703": "column {} does not exist",
    "42883": "columns have types that cannot be compared: {}",
    UNDEFINED_TABLE: "table {} does not exist",
}
NAME: Final = re.compile(
    r'(?:relation|table|enum \w+:|schema|view|column) "?(?:u\d+\.)?([\w.]+)"?|operator does not exist: (.+)'
)
ROW_SECURITY: Final = "row-level security applies to {}; grant BYPASSRLS to this role"
# For errors on Continuity's own tables.
OWN_TABLES: Final = {"42501": "no permission to write Continuity's tables", UNDEFINED_TABLE: NOT_MIGRATED}
HTTP: Final = {401: BAD_CREDENTIALS, 403: BAD_CREDENTIALS, 404: "not found", 429: "too many requests"}
# libpq has no SQLSTATE while connecting; redis-py and httpx wrap the error of the system.
TEXT: Final = (
    (r"connection refused", REFUSED),
    (r"password authentication failed|no password supplied|no pg_hba\.conf entry", BAD_CREDENTIALS),
    (r'role ".*" (does not exist|is not permitted)', BAD_CREDENTIALS),
    (r'database ".*" does not exist', "database not found"),
    (r"starting up|shutting down|in recovery mode|not (yet )?accepting connections", STARTING),
    (r"too many (clients|connections)|remaining connection slots", TOO_MANY),
    (r"name or service not known|name resolution|nodename nor servname|no address associated", UNKNOWN_HOST),
    (r"failed to resolve host|could not translate host name|could not resolve", UNKNOWN_HOST),
    (r"no route to host|network is unreachable", "network is unreachable"),
    (r"certificate|ssl|tls", "TLS failed"),
    (r"invalid (username-password|password)|wrongpass|noauth|authentication", BAD_CREDENTIALS),
    (r"server closed the connection|connection (closed|reset|is lost)|disconnected|broken pipe", LOST),
    (r"no such file or directory", "no such file, folder or socket"),
)
CLIENTS: Final = ("psycopg", "django", "redis", "httpx", "httpcore", "socket")


def explain(error: BaseException, waited: float = 0.0) -> str | None:
    """Return the meaning of an exception in a few words; None if the exception is unforeseen.

    `waited` is the number of seconds until a timeout. Causes are searched too, because libraries wrap errors.
    """
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


def is_outage(error: BaseException) -> bool:
    """Return whether PostgreSQL is unreachable or too late. A refused statement is no outage."""
    # psycopg has no SQLSTATE if the server sent nothing: connection refused, closed, or past the deadline.
    return isinstance(error, DATABASE_ERRORS) and (_state(error) or OUTAGE_STATES[0]).startswith(OUTAGE_STATES)


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
        # qdrant-client keeps the cause as `source`, and raises from None.
        link = link.__cause__ or getattr(link, "source", None) or link.__context__


def _by_code(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's, not the system's
        return "TLS failed"
    if isinstance(error, OSError) and error.errno in NETWORK + DISK:
        return os.strerror(error.errno).lower()
    if (state := getattr(error, "sqlstate", None)) in SQLSTATE:
        return _by_state(error, state)
    status = getattr(getattr(error, "response", error), "status_code", None)
    return HTTP.get(status, f"answered with HTTP {status}") if isinstance(status, int) else None


def _by_state(error: Any, state: str) -> str:
    if state in OWN_TABLES and (table := _model_table(error)) and table not in MEDIA_TABLES:
        return OWN_TABLES[state]
    message = error.diag.message_primary or ""
    if is_row_security(error):
        return ROW_SECURITY.format(message.partition('"')[2].rpartition('"')[0] or "a table")
    match = NAME.search(message)
    name = next(filter(None, match.groups()), None) if match else None
    return NAMED[state].format(name) if name and state in NAMED else SQLSTATE[state]


def _by_class(error: BaseException, waited: float) -> str | None:
    # By name: an import of every client library, for isinstance(), would cost more than a second.
    names = " ".join(base.__name__.lower() for base in type(error).__mro__)
    return no_answer(waited) if "timeout" in names or "deadlineerror" in names else None


def _by_text(error: BaseException) -> str | None:
    # Errors of network and database clients only: a bug in Continuity may have any text.
    if type(error).__module__.partition(".")[0] not in CLIENTS:
        return None
    text = str(error).lower()
    return next((meaning for pattern, meaning in TEXT if re.search(pattern, text)), None)


def _state(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)


def _model_table(error: BaseException) -> str | None:
    # Only the message names the table, in the language of the server.
    names = set(re.findall(r"\w+", str(error)))
    tables = (model._meta.db_table for model in apps.get_models() if model._meta.managed)
    return next((table for table in tables if table in names), None)
