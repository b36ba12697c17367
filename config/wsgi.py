"""The WSGI entry: load balancers are answered from the snapshot, everything else by Django, within a deadline."""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from common.postgres.deadline import deadline
from common.process import die_with_parent
from config.environment import SettingError
from health import public
from health.build import server
from health.snapshot import snapshot

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Seconds that a request may wait for PostgreSQL.
PATIENCE: Final = {
    "/health/detailed": 2.0,
    "/api/v1/stats/sftpgo": 2.0,
    "/health/consistency": 10.0,
    # Two looks, the pause between them, the recording: the view knows how long that is.
    "/api/v1/consistency/scans": 300.0,
}
OTHERS: Final = 3.0
# While PostgreSQL is known to be down: or each request would hold its thread for seconds, and soon all of them would.
OUTAGE: Final = 0.1
FIRST_ROUND: Final = 10.0
ANSWERS: Final[dict[str, Callable[[str], public.Answer]]] = {
    "/health": public.summary,
    "/health/live": public.live,
    "/health/ready": public.ready,
}


class Front:
    """Stands before Django: before host checking, TLS redirect, sessions and logging, as probes by IP need it."""

    def __init__(self, django: "WSGIApplication") -> None:
        self._django = django

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if (answer := ANSWERS.get(path)) and method in ("GET", "HEAD"):
            return _send(answer(environ.get("QUERY_STRING", "")), start_response, with_body=method == "GET")
        with deadline(OUTAGE if snapshot.known_down("postgres") else PATIENCE.get(path, OTHERS)):
            return self._django(environ, start_response)


def _send(answer: public.Answer, start_response: "StartResponse", *, with_body: bool) -> Iterable[bytes]:
    body = json.dumps(answer.body, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | answer.headers
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
    return [body] if with_body else []


# --- The process -----------------------------------------------------------------------------------------
def notice_the_end() -> None:
    """Let /health/ready answer 503 once the server is told to stop.

    Not with a handler: granian sets its own after it has loaded this module. Python writes the number of each signal
    that has a handler into the wake-up descriptor; whoever had one before (gunicorn) goes on reading its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous = signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_read_signals, args=(reader, previous), name="signals", daemon=True).start()


def _read_signals(reader: socket.socket, previous: int) -> None:
    while signals := reader.recv(64):
        if {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}.intersection(signals):
            snapshot.draining = True
        if previous >= 0:
            with suppress(OSError):
                os.write(previous, signals)


def start() -> Front:
    """Load Django, then ask every probe once: the server takes no request before this process knows how things are."""
    try:
        front = Front(get_wsgi_application())
    except SettingError as problem:
        sys.exit(problem.exit_with_line())
    notice_the_end()
    if settings.DEMO and server().pid == os.getppid():
        # A demo that is killed with -9 takes its granian along, but granian's workers would stay.
        die_with_parent(os.getppid(), signal.SIGKILL)
    snapshot.ask(budget=FIRST_ROUND)
    public.summary("")  # reads git and the server's age once
    return front


application = start()
