"""The pages for people who are no administrators: the index, which works without PostgreSQL too, and the status."""

from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.errors import DATABASE_ERRORS
from common.postgres.deadline import deadline
from config.access.authentication import LOOKUP_TIMEOUT
from config.outage import report
from health.api import public
from health.snapshot import snapshot

REFRESH: Final = 30
"""Seconds until a browser loads the status again."""


@require_safe
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """Show the addresses and the answer of /health; to a user, show the services and the consistency, too."""
    context: dict[str, Any] = {"summary": public.summary("").body}
    if not snapshot.known_down("postgres"):
        try:
            with deadline(LOOKUP_TIMEOUT):
                username = request.user.get_username()
            return render(request, "index.html", context | {"username": username})
        except DATABASE_ERRORS as error:
            report(error)
    return render(request, "index.html", context | {"down": True})


@require_safe
@never_cache
@login_required
def status(request: HttpRequest) -> HttpResponse:
    """Show every probe and the consistency, again and again unless `refresh` is 0."""
    seconds = REFRESH if request.GET.get("refresh") != "0" else None
    response = render(request, "status.html", {"username": request.user.get_username(), "seconds": seconds})
    if seconds:
        # The header, because accessibility checkers forbid the same as an element of the page.
        response["Refresh"] = str(seconds)
    return response
