"""Turn errors into responses: {"detail"} for API paths, a small page for browsers."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as drf_exception_handler

from common.errors import DATABASE_ERRORS, explain, first_line, is_outage, is_read_only, is_timeout, missing_table
from common.postgres.pool import TooManyRequestsError
from config import outage
from health.runs.result import OK
from health.snapshot import snapshot

log = logging.getLogger(__name__)

API: Final = ("/health", "/api/")
ADMIN: Final = "/admin/"
MESSAGES: Final = {
    400: "Bad request: the request is malformed, or the host name is not in ALLOWED_HOSTS.",
    403: "You are signed in, but have no permission.",
    404: "Not found. /api/docs lists every path of the API. No path ends with a slash.",
    413: "The body is too large.",
    500: "Unexpected error. The log has the details.",
}
NO_PAGE: Final = "Not found. The address is wrong, or the object does not exist any more."
TOO_SLOW: Final = "The request took too long. Try again in a few seconds."
TOO_MANY_REQUESTS: Final = "Too many requests wait for PostgreSQL. Try again in a second."
REFUSED: Final = "PostgreSQL answers, but {}. Try again in a few seconds."
READ_ONLY: Final = "PostgreSQL is read-only now (a standby, or set so). Nothing can be saved, so nobody can sign in."


class DatabaseUnavailable(APIException):
    """503. DRF sends `wait`, in seconds, as Retry-After."""

    status_code = 503
    default_detail = "PostgreSQL does not answer. Try again in a few seconds."
    default_code = "database_unavailable"
    wait: int | None = None


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an exception of a DRF view. None leaves the exception to `server_error`."""
    response = drf_exception_handler(_translated(error), dict(context))
    if response is not None:
        response.data = {"detail": sentence(response.data)}
        _mark_as_logged(response)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception of middleware, the admin or a template. Django calls the function in the except block."""
    return _server_error(request, sys.exc_info()[1])


def _server_error(request: HttpRequest, cause: BaseException | None) -> HttpResponse:
    error = _translated(cause)
    if not isinstance(error, APIException):
        return _response(request, 500)
    response = _response(request, error.status_code, sentence(error.detail))
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = f"{wait:.0f}"
        if request.method == "GET" and _is_browser(request):
            # A screen that shows /status returns by itself.
            response["Refresh"] = f"{wait:.0f}"
    _mark_as_logged(response)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer Django's SuspiciousOperation: a wrong host name with 400, a large body with 413."""
    # Django takes every error while a session is saved for a deleted session.
    if isinstance(exception, SessionInterrupted) and isinstance(cause := _root(exception), DATABASE_ERRORS):
        return _server_error(request, cause)
    if not isinstance(exception, RequestDataTooBig):
        return _response(request, 400)
    response = _response(request, 413)
    _mark_as_logged(response)  # without a traceback: anybody can send a large body
    return response


def _root(error: BaseException) -> BaseException:
    while error.__context__ is not None and not isinstance(error, DATABASE_ERRORS):
        error = error.__context__
    return error


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a user without the permission."""
    return _response(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown path."""
    return _response(request, 404, NO_PAGE if request.path_info.startswith(ADMIN) else "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form of another site, or of a page older than the last sign-in."""
    return _response(request, 403, f"{reason.rstrip('.')}. Reload the page and send it again.")


def sentence(problem: Any, where: str = "") -> str:
    """Return DRF's errors, dicts and lists by field, as one line such as `limit: A valid integer is required.`"""
    if isinstance(problem, Mapping):
        fields = problem if "detail" not in problem else {"detail": problem["detail"]}
        return " ".join(filter(None, (sentence(value, _path(where, name)) for name, value in fields.items())))
    if isinstance(problem, list):
        places = (f"{where}[{index}]" if isinstance(value, Mapping) else where for index, value in enumerate(problem))
        return " ".join(filter(None, map(sentence, problem, places)))
    return f"{where}: {problem}" if where else str(problem)


def _path(where: str, name: str) -> str:
    if name in {"detail", api_settings.NON_FIELD_ERRORS_KEY}:
        return where
    return f"{where}.{name}" if where else name


def _translated(error: BaseException | None) -> Any:
    if error and (message := missing_table(error)):
        log.error("%s (%s)", message, first_line(error))
        return DatabaseUnavailable(message)
    if error and is_read_only(error):
        log.error("PostgreSQL is read-only: %s", first_line(error))
        return DatabaseUnavailable(READ_ONLY)
    if isinstance(error, TooManyRequestsError):
        return _unavailable(TOO_MANY_REQUESTS, wait=1)
    if not isinstance(error, DATABASE_ERRORS):
        return error
    if is_timeout(error) and snapshot.result("postgres").status == OK:
        log.warning("A request took too long, and PostgreSQL answers the probe. %s", first_line(error))
        return _unavailable(TOO_SLOW, wait=5)
    outage.report(error)
    if not is_outage(error) and (meaning := explain(error)):
        return _unavailable(REFUSED.format(meaning), wait=5)
    return _unavailable(None, wait=5)


def _unavailable(detail: str | None, *, wait: int) -> DatabaseUnavailable:
    unavailable = DatabaseUnavailable(detail)
    unavailable.wait = wait
    return unavailable


def _mark_as_logged(response: HttpResponse) -> None:
    # Otherwise Django logs a line for every request of an outage.
    response._has_been_logged = True  # type: ignore[attr-defined]


def _response(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    content = {"detail": detail or MESSAGES[status]}
    if not _is_browser(request):
        return JsonResponse(content, status=status)
    return HttpResponse(render_to_string("error.html", content | {"status": status}), status=status)


def _is_browser(request: HttpRequest) -> bool:
    if request.path_info.startswith(API):
        return False
    return request.path_info.startswith(ADMIN) or "text/html" in request.headers.get("Accept", "")
