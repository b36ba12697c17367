"""The WSGI entry: answers before Django, deadlines of requests, and the end of the process."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, start
from health.snapshot import snapshot
from tests.health.conftest import eventually
from tests.processes import all_gone

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
def test_a_missing_setting_stops_the_start_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
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


@pytest.fixture
def granian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Serve with the production command line and two workers, with DEMO on or off."""

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=serving.command(port),
            url=f"http://{HOST}:{port}",
            log=tmp_path / "web.log",
            cwd=ROOT,
            answers=lambda: _is_ready(port),
            environment=os.environ | {"DEMO": request.param},
        )

    server = start(program, None)
    # Both workers, not only the worker that answered.
    assert eventually(lambda: (tmp_path / "web.log").read_text().count("Started worker-") == 2, 60)
    yield server
    server.stop()


def _is_ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://{HOST}:{port}/health/ready", timeout=5) as answer:
        ready: bool = answer.status == 200
    return ready


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a death signal")
@pytest.mark.parametrize("granian", ["1"], indirect=True)
def test_a_demos_workers_die_with_their_server(granian: Server, tmp_path: Path) -> None:
    workers = granian.tree()[1:]
    assert len(workers) == 2
    workers[0].kill()
    assert eventually(lambda: (tmp_path / "web.log").read_text().count("Started worker-") == 3, 60)
    assert all_gone(workers[:1])
    workers = granian.tree()[1:]  # with a new worker
    assert eventually(lambda: _is_ready(granian.port), 20)
    granian.process.kill()
    assert all_gone(workers)


@pytest.mark.parametrize("granian", ["0"], indirect=True)
def test_a_server_stops_with_all_its_threads(granian: Server) -> None:
    workers = granian.tree()[1:]
    granian.process.terminate()
    assert granian.process.wait(30) == 0
    assert all_gone(workers)


@pytest.mark.parametrize("granian", ["0"], indirect=True)
def test_both_workers_tell_the_same_uptime(granian: Server) -> None:
    told = []
    for _ in range(20):
        with urllib.request.urlopen(f"{granian.url}/health", timeout=10) as answer:
            told.append((time.monotonic(), json.load(answer)["uptime_ms"]))
    starts = [seconds - uptime / 1000 for seconds, uptime in told]
    assert max(starts) - min(starts) < 1.0
    assert 0 < told[0][1] < 60_000
