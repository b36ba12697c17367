"""Why a check could not run, in a few words that carry no host, path, value or SQL; the rest goes to the log."""

import logging
import re
from typing import Final

import psycopg
from django.db import Error as DatabaseError
from psycopg import errors

from common.budget import Budget
from consistency.registry import CheckError

logger = logging.getLogger(__name__)

NO_TIME: Final = "no time was left for it"

# By class, most special first. A placeholder takes its words from PostgreSQL's message, which names only the schema.
REASONS: Final[tuple[tuple[type[psycopg.Error], str], ...]] = (
    (errors.LockNotAvailable, "a table that it reads is locked"),
    (errors.UndefinedTable, "table {} does not exist"),
    (errors.UndefinedColumn, "column {} does not exist"),
    (errors.InsufficientPrivilege, "no permission to read {}"),
    (errors.ReadOnlySqlTransaction, "it tried to write"),
    (errors.UndefinedFunction, "columns have types that cannot be compared: {}"),
    (errors.InvalidTextRepresentation, "a column's type does not know the word {}"),
    (errors.SerializationFailure, "the server ended its snapshot; try again"),
    (errors.TooManyConnections, "PostgreSQL has no connection to spare"),
    (errors.CannotConnectNow, "PostgreSQL is starting up or shutting down"),
    (errors.AdminShutdown, "the connection to PostgreSQL was lost"),
)
_NAMED = re.compile(
    r'(?:relation|table|enum \w+:|schema|view|column) "?(?:u\d+\.)?([\w.]+)"?|operator does not exist: (.+)'
)


def reason(error: Exception, budget: Budget, *, lost: bool = False) -> str:
    """The words for what a check raised within its budget; `lost` if its snapshot is gone, whatever it raised."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(error, CheckError):
        return str(error)
    if isinstance(error, TimeoutError) or (isinstance(cause, errors.QueryCanceled) and budget.left() < budget.spent()):
        return f"timed out after {budget.seconds:.1f} s"
    if isinstance(cause, errors.IdleInTransactionSessionTimeout):
        # No word on PostgreSQL: it was this process that was halted, or waited for who reads.
        return "it stood still for too long, and the server ended its snapshot"
    if lost or (isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and cause.sqlstate is None):
        return _lost(budget)
    for kind, words in REASONS:
        if isinstance(cause, kind):
            logger.warning("A check could not run: %s", str(cause).partition("\n")[0])
            return words.format(_name(cause))
    logger.error("A check could not run", exc_info=error)
    return "PostgreSQL refused its query" if isinstance(error, DatabaseError) else "unexpected error"


def no_connection(error: Exception, budget: Budget) -> str:
    """The words for a transaction that could not be begun."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        return reason(error, budget)
    # An outage is told in the report, and logged once by whoever watches PostgreSQL.
    logger.debug("PostgreSQL is not reachable: %s", str(error).partition("\n")[0])
    return "PostgreSQL is not reachable"


def _lost(budget: Budget) -> str:
    """The words for a connection that ended under a check, or could not be had."""
    if budget.left():
        return "the connection to PostgreSQL was lost"
    return f"PostgreSQL did not answer within {budget.seconds:.1f} s"


def _name(error: psycopg.Error) -> str:
    """What the message is about; a server may speak another language, so it may stay unnamed."""
    found = _NAMED.search(error.diag.message_primary or "")
    return next((group for group in found.groups() if group), "") if found else "that it needs"
