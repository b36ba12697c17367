"""What the ASGI and the WSGI entry share: the start, the health addresses, and the deadlines of requests."""

import json
import os
import signal
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

from common.postgres.pool import REQUESTS, sizes
from common.process import die_with_parent
from config.environment import SettingError
from health.api import public
from health.build import server
from health.snapshot import snapshot

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


class Reply(NamedTuple):
    """A complete HTTP response. `status` is a line such as `200 OK`."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def request_timeout(path: str) -> float:
    """Return the seconds that a request for this path may wait for PostgreSQL."""
    return OUTAGE_TIMEOUT if snapshot.known_down("postgres") else REQUEST_TIMEOUTS.get(path, DEFAULT_TIMEOUT)


def health_reply(path: str, method: str, query: str) -> Reply | None:
    """Return the response of a health address; None for all other requests.

    Health addresses are answered before Django checks hosts, TLS and sessions: load balancers use IP addresses.
    """
    if method not in ("GET", "HEAD") or (answer := HEALTH.get(path)) is None:
        return None
    status, headers, body = json_reply(answer(query))
    return Reply(status, headers, body if method == "GET" else b"")


def json_reply(answer: public.Answer) -> Reply:
    """Return the response with the body in JSON."""
    body = json.dumps(answer.body, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | answer.headers
    return Reply(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()), body)


def start() -> WSGIHandler:
    """Load Django and run every probe once, so that the first request meets a filled snapshot."""
    if server().pid == os.getppid():
        # A killed server would leave its workers behind, which hold the port.
        die_with_parent(os.getppid(), signal.SIGKILL)
    try:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django = get_wsgi_application()
        from config.openapi import build_schema  # needs the settings
    except SettingError as problem:
        sys.exit(problem.exit_with_line())
    sizes[REQUESTS] = settings.DATABASE_CONNECTIONS
    snapshot.refresh(budget=FIRST_PROBES_TIMEOUT)
    build_schema()
    public.summary("")  # caches the git hash and the start time of the server
    return django
