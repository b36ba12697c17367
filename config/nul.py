"""Refuse admin addresses with a NUL character. PostgreSQL cannot compare a text with NUL, and raises an error."""

from collections.abc import Callable

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from config.errors import ADMIN


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: answer 404. The REST views answer 400, with the name of the parameter."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(ADMIN) and "%00" in request.get_full_path():
            raise Http404
        return get_response(request)

    return middleware
