"""The short words in which clients are told what went wrong: no secret, host, path or traceback ever."""

import errno
import re
import ssl
from collections.abc import Iterator
from typing import Final

REFUSED: Final = "connection refused"
LOST: Final = "connection lost"
UNKNOWN_HOST: Final = "host name not found"
UNREACHABLE: Final = "network unreachable"
NO_ACCESS: Final = "password or key refused"
STARTING: Final = "starting up or shutting down"

ERRNO: Final = {
    errno.ECONNREFUSED: REFUSED,
    errno.ENOENT: "no such file, folder or socket",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ECONNRESET: LOST,
    errno.EPIPE: LOST,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
    errno.EMFILE: "too many open files",
    errno.ENOSPC: "disk full",
    errno.EIO: "disk error",
    errno.ESTALE: "disk error",
}
SQLSTATE: Final = {
    "28P01": NO_ACCESS,
    "28000": NO_ACCESS,
    "3D000": "database not found",
    "42P01": "a table is missing",
    "42703": "a column is missing",
    "42501": "permission denied",
    "53300": "too many connections",
    "57P03": STARTING,
    "57014": "query cancelled",
    "57P01": LOST,
    "57P02": LOST,
}
HTTP: Final = {401: NO_ACCESS, 403: NO_ACCESS, 404: "not found", 429: "too many requests"}
# What only the text tells: libpq gives no code while connecting, redis-py and httpx wrap the system's error.
TEXT: Final = (
    (r"connection refused", REFUSED),
    (r"password authentication failed|no password supplied|no pg_hba\.conf entry", NO_ACCESS),
    (r'role ".*" does not exist|role ".*" is not permitted', NO_ACCESS),
    (r'database ".*" does not exist', "database not found"),
    (r"starting up|shutting down|in recovery mode|not (yet )?accepting connections", STARTING),
    (r"too many (clients|connections)|remaining connection slots", "too many connections"),
    (r"name or service not known|name resolution|nodename nor servname|no address associated", UNKNOWN_HOST),
    (r"failed to resolve host|could not translate host name|could not resolve", UNKNOWN_HOST),
    (r"no route to host|network is unreachable", UNREACHABLE),
    (r"certificate|ssl|tls", "TLS failed"),
    (r"invalid (username-password|password)|wrongpass|noauth|authentication", NO_ACCESS),
    (r"server closed the connection|connection (closed|reset|is lost)|disconnected|broken pipe", LOST),
    (r"no such file or directory", "no such file, folder or socket"),
)
SILENCE: Final = ("timeout", "deadlineerror", "waittimeout")


def explain(problem: BaseException, waited: float) -> str | None:
    """Say in few words what an exception of a client library means; None for one that nobody foresaw.

    `waited` is the number of seconds after which it came. The whole chain of causes is asked, since libraries wrap.
    """
    for link in _chain(problem):
        if words := _by_kind(link, waited) or _by_code(link):
            return words
    return next((words for link in _chain(problem) if (words := _by_text(link))), None)


def no_answer(seconds: float) -> str:
    """Say that a server kept silent for so long."""
    return f"no answer within {seconds:.1f} s".replace(".0 s", " s")


def no_answer_for(seconds: float) -> str:
    """Say how long ago the last answer came."""
    return f"no answer for {max(1, round(seconds))} s"


def _chain(problem: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    link: BaseException | None = problem
    while link is not None and link not in seen:
        seen.append(link)
        yield link
        # qdrant-client keeps what happened as `source`, and raises from None.
        link = link.__cause__ or getattr(link, "source", None) or link.__context__


def _by_kind(problem: BaseException, waited: float) -> str | None:
    """Classes are known by name: importing every client library to ask isinstance would cost more than a second."""
    if isinstance(problem, ssl.SSLError):
        return "TLS failed"
    kinds = " ".join(kind.__name__.lower() for kind in type(problem).__mro__)
    return no_answer(waited) if any(word in kinds for word in SILENCE) else None


def _by_code(problem: BaseException) -> str | None:
    if isinstance(problem, OSError) and problem.errno in ERRNO:
        return ERRNO[problem.errno]
    if (state := getattr(problem, "sqlstate", None)) in SQLSTATE:
        return SQLSTATE[state]
    status = getattr(getattr(problem, "response", problem), "status_code", None)
    if isinstance(status, int):
        return HTTP.get(status, f"answered with HTTP {status}")
    return None


def _by_text(problem: BaseException) -> str | None:
    # Only what a network or database client raised: the text of a bug in our code proves nothing.
    if type(problem).__module__.partition(".")[0] not in ("psycopg", "django", "redis", "httpx", "httpcore", "socket"):
        return None
    text = str(problem).lower()
    return next((words for pattern, words in TEXT if re.search(pattern, text)), None)
