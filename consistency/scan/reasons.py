"""Say why a check could not run, in words that clients may read; details go to the log."""

import logging
from typing import Final

import psycopg
from django.db import Error as DatabaseError
from psycopg import errors

from common.budget import Budget
from common.errors import explain
from common.postgres.pool import TooManyRequestsError
from consistency.registry import CheckError

logger = logging.getLogger(__name__)

NO_TIME: Final = "no time was left for it"
CONNECTION_LOST: Final = "the connection to PostgreSQL was lost"
UNREACHABLE: Final = "PostgreSQL is not reachable"


def reason(error: Exception, budget: Budget, *, lost: bool = False) -> str:
    """Return why a check failed; `lost` if the connection is gone."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(error, CheckError | TooManyRequestsError):
        return str(error)
    cancelled = isinstance(cause, errors.QueryCanceled) and budget.remaining() < budget.spent()
    if isinstance(error, TimeoutError) or cancelled:
        return f"timed out after {budget.seconds:.1f} s"
    if isinstance(cause, errors.ReadOnlySqlTransaction):
        return "it tried to write"
    if isinstance(cause, errors.IdleInTransactionSessionTimeout):
        return "it paused for too long, and the server ended its snapshot"
    if lost or (isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and cause.sqlstate is None):
        return CONNECTION_LOST if budget.remaining() else f"PostgreSQL did not answer within {budget.seconds:.1f} s"
    if isinstance(cause, psycopg.Error) and (meaning := explain(error) or _refusal(cause)):
        logger.warning("A check could not run: %s", str(cause).partition("\n")[0])
        return meaning
    logger.error("A check could not run", exc_info=error)
    return "PostgreSQL refused its query" if isinstance(error, DatabaseError) else "unexpected error"


def _refusal(error: psycopg.Error) -> str | None:
    """Return the words for an error that the server reports; None for an error of the client library."""
    return f"PostgreSQL refused its query (SQLSTATE {error.sqlstate})" if error.sqlstate else None


def no_snapshot(error: Exception, budget: Budget) -> str:
    """Return why the transaction of a scan could not begin."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        return reason(error, budget)
    # The health probe of PostgreSQL logs an outage once.
    logger.debug("%s: %s", UNREACHABLE, str(error).partition("\n")[0])
    return UNREACHABLE
