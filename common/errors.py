"""Turn exceptions into short words for users, without secrets, hosts, paths or SQL."""

import errno
import logging
import os
import re
import ssl
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import psycopg
from django.apps import apps
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

log = logging.getLogger(__name__)

DATABASE_ERRORS: Final = (OperationalError, InterfaceError)
UNDEFINED_TABLE: Final = "42P01"
READ_ONLY: Final = "25006"
MEDIA_TABLES: Final = frozenset({"files", "monitor_jobs", "schema_migrations", "identities", "runtime_switches"})
NOT_MIGRATED: Final = (
    "Continuity's tables are not in the database."
    " Run manage.py migrate; attach an existing platform first (docs/operate.md)"
)
NO_MEDIA_TABLE: Final = (
    "The database has no table {}. The media server creates the table, or manage.py migrate in a new database"
)


class Kind(Enum):
    """How far an error reaches. For PostgreSQL, the first two kinds are an outage."""

    OUTAGE = auto()
    """The server cannot be reached, or serves nobody."""
    EXHAUSTED = auto()
    """The server answers, but lacks memory or disk, so that a small query may succeed and another may fail."""
    REFUSED = auto()
    """The server refuses this statement or this client's right, and serves other statements."""


OUTAGE, EXHAUSTED, REFUSED = Kind


class Meaning(NamedTuple):
    """The kind and the words of an error; `named` is preferred if PostgreSQL's message holds a name in English."""

    kind: Kind
    words: str
    named: str = ""


LOST: Final = Meaning(OUTAGE, "connection lost")
CREDENTIALS: Final = Meaning(OUTAGE, "password or key refused")
NO_DATABASE: Final = Meaning(OUTAGE, "database not found")
CLOSED: Final = Meaning(OUTAGE, "the database refuses connections")
POOLER: Final = Meaning(OUTAGE, "PgBouncer cannot reach PostgreSQL")
STARTING: Final = Meaning(OUTAGE, "starting up or shutting down")
TOO_MANY: Final = Meaning(OUTAGE, "too many connections")
UNKNOWN_HOST: Final = Meaning(OUTAGE, "host name not found")
TLS_FAILED: Final = Meaning(OUTAGE, "TLS failed")
GARBAGE: Final = Meaning(OUTAGE, "the answer is not understood")
DISK_FULL: Final = Meaning(EXHAUSTED, "disk full")
OUT_OF_MEMORY: Final = Meaning(EXHAUSTED, "out of memory")
# PostgreSQL refuses a connection in unknown words, such as words of another language.
NO_CONNECTION: Final = "connection failed"

# The system's own words are clear enough for these.
NETWORK: Final = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH)
DISK: Final = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ESTALE)
# Also by the first characters of a SQLSTATE.
SQLSTATE: Final = {
    "08": LOST,
    "0A000": Meaning(REFUSED, "PostgreSQL does not support its query"),
    "22P02": Meaning(REFUSED, "a column's type does not know a word", "a column's type does not know the word {}"),
    "23505": Meaning(REFUSED, "another session made the same change at the same time. Try again"),
    READ_ONLY: Meaning(REFUSED, "PostgreSQL is read-only"),
    "25P03": Meaning(REFUSED, LOST.words),
    "25P04": Meaning(REFUSED, "transaction_timeout of the database is too short"),
    "28": CREDENTIALS,
    "3D000": NO_DATABASE,
    "40001": Meaning(REFUSED, "PostgreSQL ended the transaction because of a concurrent change. Try again"),
    "40P01": Meaning(REFUSED, "another session changed the same rows. Try again"),
    "42501": Meaning(REFUSED, "permission denied", "no permission to read {}"),
    "42703": Meaning(REFUSED, "a column is missing", "column {} does not exist"),
    "42883": Meaning(
        REFUSED, "columns have types that cannot be compared", "columns have types that cannot be compared: {}"
    ),
    UNDEFINED_TABLE: Meaning(REFUSED, "a table is missing", "table {} does not exist"),
    "53": Meaning(EXHAUSTED, "out of resources"),
    "53100": DISK_FULL,
    "53200": OUT_OF_MEMORY,
    "53300": TOO_MANY,
    "53400": Meaning(REFUSED, "a limit of the database is too low"),
    "54000": Meaning(REFUSED, "a value is longer than PostgreSQL can index (about 2,700 bytes)"),
    "55P03": Meaning(REFUSED, "another session has locked a table"),
    "57014": Meaning(REFUSED, "query cancelled"),
    "57P": LOST,
    "57P03": STARTING,
    "58": Meaning(EXHAUSTED, "PostgreSQL cannot use its disk"),
}
NAME: Final = re.compile(
    r'(?:relation|table|enum \w+:|schema|view|column) "?(?:u\d+\.)?([\w.]+)"?|operator does not exist: (.+)'
)
ROW_SECURITY: Final = "row-level security applies to {}; grant BYPASSRLS to this role"
# For errors on Continuity's own tables.
OWN_TABLES: Final = {"42501": "no permission to write Continuity's tables", UNDEFINED_TABLE: NOT_MIGRATED}
HTTP: Final = {
    401: CREDENTIALS,
    403: CREDENTIALS,
    404: Meaning(OUTAGE, "not found"),
    429: Meaning(OUTAGE, "too many requests"),
}
# Class and text of an error in lower case, names removed. libpq has no SQLSTATE while connecting, and PgBouncer has
# the same SQLSTATE for every error. redis-py removes the code of errors that have a class.
TEXT: Final = (
    (r"^busyloading|: loading ", Meaning(REFUSED, "loading its data")),
    (r"^readonlyerror", Meaning(REFUSED, "read-only")),
    (r"^outofmemoryerror", Meaning(REFUSED, "out of memory, refuses writes")),
    (r": misconf ", Meaning(REFUSED, "cannot save to disk, refuses writes")),
    (r": noreplicas ", Meaning(REFUSED, "too few replicas, refuses writes")),
    (r": busy ", Meaning(REFUSED, "busy with a script")),
    (r"^masterdown", Meaning(REFUSED, "its primary is down")),
    (r"^nopermission", Meaning(REFUSED, "not permitted to write")),
    (r"connection refused", Meaning(OUTAGE, "connection refused")),
    (r"^invalidresponse|expected authentication request|invalid response to ssl|lost synchronization", GARBAGE),
    (r"unexpected message|unexpected response|^remoteprotocolerror: illegal|invalid resp version", GARBAGE),
    (r"pg_hba\.conf .*no encryption", Meaning(OUTAGE, "pg_hba.conf refuses a connection without TLS")),
    (r"pg_hba\.conf", Meaning(OUTAGE, "pg_hba.conf refuses the connection")),
    (r"password authentication failed|no password supplied", CREDENTIALS),
    (r'role "" (does not exist|is not permitted)', CREDENTIALS),
    (r'database "" does not exist|no such database|bouncer config error', NO_DATABASE),
    (r'database "" is (disabled|not currently)|permission denied for database', CLOSED),
    (r"starting up|shutting down|in recovery mode|not (yet )?accepting connections", STARTING),
    (r"too many (clients|connections)|remaining connection slots|max number of clients", TOO_MANY),
    (r"no more connections allowed|client connections exceeded", TOO_MANY),
    (r"query_wait_timeout", Meaning(OUTAGE, "PgBouncer has no connection to give")),
    (r"server_login_retry|cannot connect to server|client_login_timeout|server login failed", POOLER),
    (r"name or service not known|name resolution|nodename nor servname|no address associated", UNKNOWN_HOST),
    (r"failed to resolve host|could not translate host name|could not resolve", UNKNOWN_HOST),
    (r"no route to host|network is unreachable", Meaning(OUTAGE, "network is unreachable")),
    (r"no space left on device", DISK_FULL),
    (r"out of memory|cannot allocate memory", OUT_OF_MEMORY),
    (r"(ssl|tls)( connection)?( was)? required", Meaning(OUTAGE, "one side requires TLS, the other has none")),
    (r"certificate|ssl|tls", TLS_FAILED),
    (r"invalid (username-password|password)|wrongpass|noauth|authentication", CREDENTIALS),
    (r"server closed the connection|connection (is |was )?(closed|reset|lost)|disconnected|broken pipe", LOST),
    (r"without sending complete|terminating connection", LOST),
    (r"no such file or directory", Meaning(OUTAGE, "no such file, folder or socket")),
)
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
    return explain(error) == no_answer(0)


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
        # qdrant-client keeps the cause as `source`, and raises from None.
        link = link.__cause__ or getattr(link, "source", None) or link.__context__


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
