"""The index page, which works without PostgreSQL too."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.errors import DATABASE_ERRORS
from common.postgres.deadline import deadline
from config.access.authentication import LOOKUP_TIMEOUT
from config.outage import report
from health.snapshot import snapshot


@require_safe
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """Show the public addresses and the signed-in user."""
    username = None
    down = snapshot.known_down("postgres")
    try:
        with deadline(LOOKUP_TIMEOUT):
            username = request.user.get_username() if not down and request.user.is_authenticated else None
    except DATABASE_ERRORS as error:
        report(error)
        down = True
    return render(request, "index.html", {"username": username, "down": down})
