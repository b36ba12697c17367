"""The WSGI entry: answers before Django, deadlines of requests, and the start."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from config.demo.process import ROOT
from health.snapshot import snapshot

if TYPE_CHECKING:
    from config.wsgi import Application

Got = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def entry() -> "Application":
    """Return the application that a server imports."""
    from config.wsgi import Application, application

    assert isinstance(application, Application)
    return application


@pytest.fixture
def get(entry: "Application") -> Callable[..., Got]:
    """Return a function that sends a request, by default over plain HTTP to an IP address."""

    def send(path: str, method: str = "GET", host: str = "10.0.0.7", scheme: str = "http") -> Got:
        path, _, query = path.partition("?")
        return _got(entry, path, query, method, host, scheme)

    return send


def _got(application: Any, path: str, query: str, method: str, host: str, scheme: str) -> Got:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": "80",
        "HTTP_HOST": host,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    parts: Iterable[bytes] = application(environ, lambda status, headers: started.append((status, headers)))
    body = b"".join(parts)
    if close := getattr(parts, "close", None):
        close()
    status, headers = started[0]
    return int(status.split()[0]), dict(headers), body


# --- Before Django ---------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_load_balancers_are_answered_by_ip_and_over_plain_http(get: Callable[..., Got]) -> None:
    status, headers, body = get("/health")
    assert status == 200
    assert list(json.loads(body)) == ["status", "version", "build_git_hash", "build_timestamp", "uptime_ms"]
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_head_has_the_length_of_get_and_no_body(get: Callable[..., Got], path: str) -> None:
    status, headers, body = get(path, "HEAD")
    assert status in (200, 503)
    assert body == b""
    assert int(headers["Content-Length"]) > 0


def test_a_bad_value_is_400(get: Callable[..., Got]) -> None:
    for query in ("strict=maybe", "strict=", "strict=%ff"):
        status, _, body = get(f"/health?{query}")
        assert status == 400
        assert list(json.loads(body)) == ["detail"]


def test_strict_is_503_while_degraded(get: Callable[..., Got], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "status", lambda: "degraded")
    assert get("/health")[0] == 200
    status, headers, body = get("/health?strict=1")
    assert (status, json.loads(body)["status"]) == (503, "degraded")
    assert headers["Retry-After"].isdigit()


# Django checks every connection that an earlier test left open.
@pytest.mark.django_db(transaction=True)
def test_everything_else_is_djangos(get: Callable[..., Got]) -> None:
    assert get("/health", "POST", host="localhost", scheme="https")[0] == 405
    assert get("/health/", host="localhost", scheme="https")[0] == 404
    assert get("/health/detailed", host="localhost")[0] == 301, "to TLS"
    assert get("/health/detailed", scheme="https")[0] == 400, "a name that is not ours"


# --- Deadlines -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/health/detailed", 2.0),
        ("/api/v1/stats/sftpgo", 2.0),
        ("/health/consistency", 10.0),
        ("/api/v1/consistency/scans", 300.0),
        ("/api/v1/consistency/anomalies", 3.0),
        ("/admin/", 3.0),
        ("/api/v1/auth/token", 3.0),
    ],
)
def test_a_request_may_wait_for_postgres_so_long(path: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from common.postgres.deadline import remaining
    from config.wsgi import Application

    left: list[float] = []

    def django(environ: Any, start_response: Any) -> list[bytes]:
        left.append(remaining() or 0.0)
        start_response("200 OK", [])
        return []

    entry = Application(django)
    for down, most in ((False, seconds), (True, 0.1)):
        monkeypatch.setattr(snapshot, "known_down", lambda name, down=down: down)
        _got(entry, path, "", "GET", "localhost", "https")
        assert most / 2 < left[-1] <= most
    assert remaining() is None, "the next request of this thread has its own"


# --- The process -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("entry", ["config.wsgi", "config.asgi"])
def test_a_missing_setting_stops_the_start_with_one_line(entry: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {entry}"],
        cwd=ROOT,
        env=os.environ | {"REDIS_URL": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("REDIS_URL is not set.")
    assert len(done.stderr.splitlines()) == 1
