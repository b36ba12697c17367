"""Who may review: whoever is signed in reads, an act needs its permission and leaves a line in the admin's log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django.contrib.admin.models import LogEntry
from django.db import Error as DatabaseError
from django.db import IntegrityError, OperationalError, ProgrammingError, connections
from django.db.models import Model
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from common.choices import UnknownChoiceError
from common.text import printable
from consistency.api.query import ParameterError, only
from consistency.history.lists import CursorError
from consistency.history.silence import MEMORY, SilenceError
from consistency.history.turns import HeldError
from consistency.history.writing import AlreadyRunningError, recording_problem
from consistency.scan.transaction import bounded

logger = logging.getLogger(__name__)

SECONDS: Final = 10.0
LOG_SECONDS: Final = 3.0
REFUSED: Final = (UnknownChoiceError, SilenceError, ParameterError, CursorError)


class Conflict(APIException):
    """409: not now."""

    status_code = 409


class Busy(Conflict):
    """409: once the other scan is done, or recorded."""

    wait = 10


class MemoryUnavailable(APIException):
    """503: the memory's tables are not as they should be."""

    status_code = 503


class MayAct(BasePermission):
    """Whoever is signed in reads; an act needs its own permission, which no API key has."""

    def has_permission(self, request: Request, view: Any) -> bool:
        wanted = view.acts.get(view.action)
        if wanted is None or request.user.has_perm(wanted):
            return True
        if _is_a_stand_in(request.user):
            raise OperationalError("who may do this cannot be looked up")
        self.message = f"This needs the permission {wanted}; an API key only reads."
        return False


def _is_a_stand_in(user: Any) -> bool:
    """Whether a token's word was taken for who asks, since PostgreSQL is away: what its user may do is not in it."""
    return user.pk is not None and not isinstance(user, Model)


class ReviewViewSet(ViewSet):
    """What all of them share: who may, bounded waits, and answers that nobody keeps."""

    http_method_names = ["get", "head", "post", "delete"]
    permission_classes = [IsAuthenticated, MayAct]
    acts: ClassVar[dict[str, str]] = {}
    """The permission that an action needs."""
    asked: ClassVar[tuple[str, ...]] = ()
    """The actions that read parameters, and refuse those that they do not know."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse parameters where there are none: `?database=` beside a body would be a wish that nobody hears."""
        super().initial(request, *args, **kwargs)
        if self.action in {*self.action_map.values()} - {*self.asked}:
            only(request.query_params, ())

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for PostgreSQL no longer than a client waits."""
        with bounded(connections[MEMORY], self.patience(self.action_map.get(request.method.lower()))):
            return super().dispatch(request, *args, **kwargs)

    def patience(self, action: str | None) -> float:
        """Seconds that this action may wait for PostgreSQL in all."""
        return SECONDS

    def handle_exception(self, error: Exception) -> Response:
        """Turn what our own modules refuse into an answer."""
        if isinstance(error, REFUSED):
            error = ValidationError({"detail": str(error)})
        elif isinstance(error, (AlreadyRunningError, HeldError)):
            error = Busy(str(error))
        elif isinstance(error, IntegrityError):
            error = Conflict("Somebody else did the same at that moment. Look, and try again.")
        elif isinstance(error, ProgrammingError):
            error = MemoryUnavailable(f"{recording_problem(error)}.")
        return super().handle_exception(error)


def log(request: Request, row: Model, flag: int, words: str) -> None:
    """Leave a line in the admin's log about what somebody did to this row."""
    user: Any = request.user  # who has a permission has an account
    LogEntry.objects.log_actions(user.pk, [row], flag, change_message=printable(words), single_object=True)


@contextmanager
def fails_alone() -> Iterator[None]:
    """A line about what has happened already, such as a recorded scan: it takes seconds at most, and what becomes of
    it makes no failure of that.
    """
    try:
        with bounded(connections[MEMORY], LOG_SECONDS):
            yield
    except DatabaseError:
        logger.warning("The admin's log has no line about a scan", exc_info=True)
