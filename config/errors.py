"""The one place where errors become answers: {"detail"} for API addresses, a small page for people in a browser."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as rest_framework_handler

from common.errors import DATABASE_ERRORS, first_line, is_read_only, missing_table
from config import outage

log = logging.getLogger(__name__)

API: Final = ("/health", "/api/")
ADMIN: Final = "/admin/"
WORDS: Final = {
    status.HTTP_400_BAD_REQUEST: "Bad request: it is malformed, or its host name is not one of this service.",
    status.HTTP_403_FORBIDDEN: "You are signed in, but may not do this.",
    status.HTTP_404_NOT_FOUND: "Not found. /api/docs lists every address of the API; none ends with a slash.",
    status.HTTP_413_REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    status.HTTP_500_INTERNAL_SERVER_ERROR: "Unexpected error. It is in the log.",
}


class DatabaseUnavailable(APIException):
    """PostgreSQL could not be asked: 503, and when to come back (DRF makes Retry-After of `wait`, in seconds)."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "PostgreSQL does not answer. Try again in a few seconds."
    default_code = "database_unavailable"
    wait = 5


class TableMissing(APIException):
    """A table is not there yet: 503, and who makes it."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "table_missing"


class DatabaseReadOnly(APIException):
    """PostgreSQL answers and saves nothing: 503."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "PostgreSQL is read-only now (a standby, or set so): nothing can be saved, signing in included."
    default_code = "database_read_only"


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an exception of a DRF view; None leaves it to `server_error`."""
    response = rest_framework_handler(_translated(error), dict(context))
    if response is not None:
        response.data = {"detail": sentence(response.data)}
        _mark_as_logged(response)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer whatever else was raised: in middleware, the admin, a template. Django calls it while handling that."""
    error = _translated(sys.exc_info()[1])
    if not isinstance(error, APIException):
        return _answer(request, status.HTTP_500_INTERNAL_SERVER_ERROR)
    response = _answer(request, error.status_code, sentence(error.detail))
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = f"{wait:.0f}"
    _mark_as_logged(response)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django calls suspicious, a host name that is not ours among it; a body past its limit is 413."""
    if not isinstance(exception, RequestDataTooBig):
        return _answer(request, status.HTTP_400_BAD_REQUEST)
    response = _answer(request, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
    # Anybody can send one: no traceback each time.
    _mark_as_logged(response)
    return response


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request of someone who is known and may not."""
    return _answer(request, status.HTTP_403_FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist."""
    return _answer(request, status.HTTP_404_NOT_FOUND)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was not sent from a page of ours, or whose page is older than the last sign-in."""
    return _answer(request, status.HTTP_403_FORBIDDEN, f"{reason.rstrip('.')}. Reload the page and send it again.")


def sentence(problem: Any, where: str = "") -> str:
    """Flatten DRF's errors, dicts and lists by field, into one line that says what is wrong and where."""
    if isinstance(problem, Mapping):
        fields = problem if "detail" not in problem else {"detail": problem["detail"]}
        return " ".join(filter(None, (sentence(value, _inside(where, name)) for name, value in fields.items())))
    if isinstance(problem, list):
        indexed = (
            (f"{where}[{at}]" if isinstance(value, Mapping) else where, value) for at, value in enumerate(problem)
        )
        return " ".join(filter(None, (sentence(value, place) for place, value in indexed)))
    return f"{where}: {problem}" if where else str(problem)


def _inside(where: str, name: str) -> str:
    if name in {"detail", api_settings.NON_FIELD_ERRORS_KEY}:
        return where
    return f"{where}.{name}" if where else name


def _translated(error: BaseException | None) -> Any:
    if error and (words := missing_table(error)):
        log.error("%s (%s)", words, first_line(error))
        return TableMissing(words)
    if error and is_read_only(error):
        log.error("PostgreSQL is read-only: %s", first_line(error))
        return DatabaseReadOnly()
    if not isinstance(error, DATABASE_ERRORS):
        return error
    outage.report(error)
    return DatabaseUnavailable()


def _mark_as_logged(response: HttpResponse) -> None:
    # Django's own word for it: without it every request of an outage would add a line of its own.
    response._has_been_logged = True  # type: ignore[attr-defined]


def _answer(request: HttpRequest, code: int, detail: str = "") -> HttpResponse:
    words = detail or WORDS[code]
    if not _for_people(request):
        return JsonResponse({"detail": words}, status=code)
    return HttpResponse(render_to_string("error.html", {"status": code, "detail": words}), status=code)


def _for_people(request: HttpRequest) -> bool:
    if request.path_info.startswith(API):
        return False
    return request.path_info.startswith(ADMIN) or "text/html" in request.headers.get("Accept", "")
