"""The WSGI entry: health addresses are answered from the snapshot, all other requests by Django within a deadline."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from common.postgres.deadline import deadline
from common.process import die_with_parent
from config.environment import SettingError
from health.api import public
from health.build import server
from health.snapshot import snapshot

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Seconds that a request may wait for PostgreSQL, by path.
REQUEST_TIMEOUTS: Final = {
    "/health/detailed": 2.0,
    "/api/v1/stats/sftpgo": 2.0,
    "/health/consistency": 10.0,
    # Two passes with a pause, and the recording. The view sets a shorter deadline.
    "/api/v1/consistency/scans": 300.0,
}
DEFAULT_TIMEOUT: Final = 3.0
# While PostgreSQL is known to be down: longer waits would soon occupy every thread.
OUTAGE_TIMEOUT: Final = 0.1
FIRST_PROBES_TIMEOUT: Final = 10.0
HEALTH: Final[dict[str, Callable[[str], public.Answer]]] = {
    "/health": public.summary,
    "/health/live": public.live,
    "/health/ready": public.ready,
}


class Application:
    """Answer health addresses before Django checks hosts, TLS and sessions: load balancers use IP addresses."""

    def __init__(self, django: "WSGIApplication") -> None:
        self._django = django

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if (answer := HEALTH.get(path)) and method in ("GET", "HEAD"):
            return _send(answer(environ.get("QUERY_STRING", "")), start_response, with_body=method == "GET")
        down = snapshot.known_down("postgres")
        with deadline(OUTAGE_TIMEOUT if down else REQUEST_TIMEOUTS.get(path, DEFAULT_TIMEOUT)):
            return self._django(environ, start_response)


def _send(answer: public.Answer, start_response: "StartResponse", *, with_body: bool) -> Iterable[bytes]:
    body = json.dumps(answer.body, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | answer.headers
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
    return [body] if with_body else []


def start() -> Application:
    """Load Django and run every probe once, so that the first request meets a filled snapshot."""
    try:
        application = Application(get_wsgi_application())
    except SettingError as problem:
        sys.exit(problem.exit_with_line())
    if settings.DEMO and server().pid == os.getppid():
        # A demo killed with -9 takes its granian along. The workers of granian need their own signal.
        die_with_parent(os.getppid(), signal.SIGKILL)
    snapshot.refresh(budget=FIRST_PROBES_TIMEOUT)
    public.summary("")  # caches the git hash and the start time of the server
    return application


application = start()
