"""SFTPGo: the probe reads the status page with a key or a token, and judges by the body, not by the 200."""

import http.server
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from health import report
from health.probes.integrations import inspect_sftpgo, sftpgo_client
from health.registry import Degraded, NotApplicable
from health.snapshot import snapshot

KEY = "81olNPHMuvyYp9kNNGe7bE.admin"


def status(*, provider: bool = True, ftp: bool = False) -> dict[str, Any]:
    """Return a ServicesStatus in the format of SFTPGo's API."""
    return {
        "ssh": {"is_active": True, "bindings": [{"address": "", "port": 2022, "apply_proxy_config": True}]},
        "ftp": {"is_active": ftp, "bindings": []},
        "webdav": {"is_active": False},
        "data_provider": {"is_active": provider, "driver": "sqlite", "error": "" if provider else "/srv/db is locked"},
        "defender": {"is_active": False},
        "mfa": {"is_active": False},
    }


class Uploads(http.server.BaseHTTPRequestHandler):
    """SFTPGo's documented answers for /api/v2/token and /api/v2/status."""

    asked: list[str]
    says: Any
    tokens: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/api/v2/token":
            return self._token()
        authorized = self.headers["X-SFTPGO-API-KEY"] == KEY or (
            self.tokens and self.headers["Authorization"] == f"Bearer {self.tokens[-1]}"
        )
        return self._send(200, self.says) if authorized else self._send(401, {"error": "", "message": "no token found"})

    def _token(self) -> None:
        kind, _, credentials = (self.headers["Authorization"] or "").partition(" ")
        if kind != "Basic" or b64decode(credentials) != b"admin:hunter2":
            return self._send(401, {"message": "invalid credentials"})
        self.tokens.append(f"token{len(self.tokens)}")
        return self._send(200, {"access_token": self.tokens[-1], "expires_at": "2026-05-18T17:30:00Z"})

    def _send(self, code: int, body: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def uploads(settings: Settings) -> Iterator[type[Uploads]]:
    """Start an SFTPGo and set its URL and API key."""
    handler = type("Uploads", (Uploads,), {"asked": [], "says": status(), "tokens": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        settings.SFTPGO_URL, settings.SFTPGO_API_KEY = f"http://127.0.0.1:{server.server_port}", KEY
        yield handler
        server.shutdown()


@pytest.fixture
def kept(uploads: type[Uploads]) -> Iterator[httpx.Client]:
    made = sftpgo_client()
    assert made
    yield made
    made.close()


def test_active_services_are_ok_and_others_disabled(kept: httpx.Client) -> None:
    assert inspect_sftpgo(kept) == {
        "services": {"sftp": "ok", "ftp": "disabled", "webdav": "disabled"},
        "data_provider": "ok",
    }


def test_a_dead_data_provider_is_noticed_in_spite_of_the_200(uploads: type[Uploads], kept: httpx.Client) -> None:
    uploads.says = status(provider=False)
    with pytest.raises(Degraded, match="its data provider is down") as caught:
        inspect_sftpgo(kept)
    assert caught.value.value
    assert caught.value.value["data_provider"] == "error"


def test_a_token_is_requested_once_and_again_after_it_expires(uploads: type[Uploads], settings: Settings) -> None:
    settings.SFTPGO_API_KEY, settings.SFTPGO_USER, settings.SFTPGO_PASSWORD = "", "admin", "hunter2"
    made = sftpgo_client()
    for _ in range(3):
        inspect_sftpgo(made)
    assert uploads.asked.count("/api/v2/token") == 1
    uploads.tokens.append("another")
    inspect_sftpgo(made)
    assert uploads.asked.count("/api/v2/token") == 2
    assert made
    made.close()


def test_without_sftpgo_there_is_no_request(settings: Settings) -> None:
    settings.SFTPGO_URL = ""
    assert sftpgo_client() is None
    with pytest.raises(NotApplicable, match="SFTPGO_URL is not set"):
        inspect_sftpgo(None)


# --- The endpoint ----------------------------------------------------------------------------------------
@pytest.fixture
def stats(client: Client) -> Any:
    return lambda: client.get("/api/v1/stats/sftpgo", secure=True)


def test_the_endpoint_is_public_and_reports_the_status(uploads: type[Uploads], stats: Any) -> None:
    answer = stats()
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["status", "latency_ms", "checked_at", "services", "data_provider"]
    assert (body["status"], body["data_provider"]) == ("ok", "ok")
    assert isinstance(body["latency_ms"], int)
    assert body["checked_at"].endswith("Z")
    assert answer["Cache-Control"] == "no-store"


def test_it_cannot_be_used_to_hammer_sftpgo(uploads: type[Uploads], stats: Any) -> None:
    for _ in range(10):
        stats()
    assert uploads.asked == ["/api/v2/status"]


def test_it_says_degraded_with_a_dead_data_provider(uploads: type[Uploads], stats: Any) -> None:
    uploads.says = status(provider=False)
    assert (stats().json()["status"], stats().json()["data_provider"]) == ("degraded", "error")
    assert "/srv/db" not in stats().content.decode()


def test_the_endpoint_and_the_command_have_the_same_keys_with_and_without_sftpgo(
    uploads: type[Uploads], settings: Settings, stats: Any
) -> None:
    places = {"up": settings.SFTPGO_URL, "unreachable": "http://127.0.0.1:1", "disabled": ""}
    for place, settings.SFTPGO_URL in places.items():
        snapshot.close()
        output = StringIO()
        with suppress(SystemExit):
            call_command("check_health", "sftpgo", "--format", "json", stdout=output)
        command, rest = json.loads(output.getvalue())["sftpgo"], stats().json()
        assert (list(command), command["services"]) == (list(rest), rest["services"]), place
        assert list(rest["services"]) == ["sftp", "ftp", "webdav"]


def test_without_an_answer_in_time_the_services_are_unknown(settings: Settings, dripping_server: str) -> None:
    settings.SFTPGO_URL = f"http://{dripping_server}"
    value = report.sftpgo(budget=0.1)
    assert (value["status"], value["services"]) == ("error", {"sftp": None, "ftp": None, "webdav": None})


@pytest.mark.parametrize(
    ("says", "key", "said"),
    [
        (status(), "wrong", "password or key refused"),
        (b"<html>", KEY, "the answer is not JSON"),
        (["list"], KEY, "the answer is unexpected JSON"),
    ],
)
def test_without_a_usable_answer_the_status_is_error(
    uploads: type[Uploads], settings: Settings, stats: Any, says: Any, key: str, said: str
) -> None:
    uploads.says, settings.SFTPGO_API_KEY = says, key
    assert stats().json() | {"latency_ms": 0, "checked_at": ""} == {
        "status": "error",
        "latency_ms": 0,
        "checked_at": "",
        "services": {"sftp": None, "ftp": None, "webdav": None},
        "data_provider": None,
        "error": said,
    }


def test_it_says_disabled_without_sftpgo(settings: Settings, stats: Any) -> None:
    settings.SFTPGO_URL = ""
    body = stats().json()
    assert (body["status"], body["latency_ms"], "error" in body) == ("disabled", None, False)


def test_the_token_is_kept_between_requests(uploads: type[Uploads], settings: Settings) -> None:
    settings.SFTPGO_API_KEY, settings.SFTPGO_USER, settings.SFTPGO_PASSWORD = "", "admin", "hunter2"
    for _ in range(3):
        runner = snapshot._runner("sftpgo")
        runner.wait(runner.request(force=True), 1e9)
    assert uploads.asked.count("/api/v2/token") == 1
