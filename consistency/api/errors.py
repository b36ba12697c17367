"""Errors of the history as responses. config/errors.py answers errors of the database."""

from django.db import IntegrityError
from rest_framework.exceptions import APIException, ValidationError

from common.arguments import InvalidInputError
from consistency.history.locks import AlreadyRunningError, AnomaliesLockedError
from consistency.history.suppression import SuppressionError

CHANGED = "Another person made the same change at the same moment. Read the state and try again."


class Refusal(APIException):
    """A response with this status. DRF sends `wait`, in seconds, as Retry-After."""

    def __init__(self, status_code: int, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.status_code, self.wait = status_code, wait


def translated(error: Exception) -> Exception:
    """Return the exception that DRF answers with 400 or 409; any other error unchanged."""
    if isinstance(error, (InvalidInputError, SuppressionError)):
        return ValidationError({"detail": str(error)})
    if isinstance(error, (AlreadyRunningError, AnomaliesLockedError)):
        return Refusal(409, str(error), wait=10)
    return Refusal(409, CHANGED) if isinstance(error, IntegrityError) else error
