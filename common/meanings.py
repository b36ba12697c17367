"""The table of errors: how far an error of PostgreSQL, Redis or an HTTP service reaches, and the words for users."""

from enum import Enum, auto
from typing import Final, NamedTuple

UNDEFINED_TABLE: Final = "42P01"
READ_ONLY: Final = "25006"


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
