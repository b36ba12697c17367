"""Every address: public or with credentials, whatever the settings."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from pytest_django import Settings

from tests.access.conftest import sign_in
from tests.access.test_openapi import UNDOCUMENTED, addresses

ROOT = Path(__file__).resolve().parents[2]
LISTS = {f"/api/v1/consistency/{name}" for name in ("checks", "scans", "anomalies")}
OPENS = {"/health/detailed", "/health/consistency"} | LISTS
ASKED = {path.format(number=1, check="stale_processing") for path in addresses()}
CLOSED = OPENS | {path for path in ASKED if path.startswith("/api/v1/consistency/")}
# Requests each address over plain HTTP, as in a demo, and prints {address: {method: status}}.
ASK = """
import json
from django.test import Client
client = Client(raise_request_exception=False, SERVER_NAME="127.0.0.1")
methods = ("get", "head", "post", "put", "patch", "delete", "options")
print(json.dumps({path: {method: getattr(client, method)(path).status_code for method in methods} for path in PATHS}))
"""


def statuses(**environment: str) -> Any:
    paths = sorted(ASKED | UNDOCUMENTED)
    code = f"PATHS = {paths!r}\n{ASK}"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    environ = os.environ | environment
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ended.stdout)


def test_in_a_demo_what_needs_credentials_still_does() -> None:
    found = statuses(DEMO="1")
    assert set(found) >= CLOSED
    for path in CLOSED:
        assert set(found[path].values()) == {401}, path
    for path in set(found) - CLOSED:
        # A process that has just started may not be ready.
        assert found[path]["get"] in {200, 405} or path in {"/health/ready", "/status"}, path


def test_every_page_carries_the_security_headers(client: Client, admin: User) -> None:
    sign_in(client, "root")
    for path in (
        "/",
        "/api/docs",
        "/api/schema",
        "/admin/",
        "/health/detailed",
        "/nothing",
        "/static/admin/css/base.css",
    ):
        answer = client.get(path)
        assert answer["Strict-Transport-Security"] == "max-age=31536000", path
        assert answer["X-Content-Type-Options"] == "nosniff", path
        assert answer["Referrer-Policy"] == "same-origin", path
        assert "default-src 'self';" in answer["Content-Security-Policy"], path
        if not path.startswith("/static/"):
            assert answer["X-Frame-Options"] == "DENY", path
        answer.close()


def test_plain_http_is_sent_to_tls(client: Client) -> None:
    answer = Client().get("/api/docs")
    assert (answer.status_code, answer["Location"]) == (301, "https://testserver/api/docs")


def test_the_admin_has_its_styles_from_the_application_itself(settings: Settings, db: None) -> None:
    """With DEBUG off and without a collectstatic step, through the WSGI application."""
    assert settings.DEBUG is False
    started: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        started.update(status=status, **dict(headers))

    body = WSGIHandler()(RequestFactory().get("/static/admin/css/base.css", secure=True).environ, start)
    assert b"DJANGO Admin styles" in b"".join(body)
    assert started["status"] == "200 OK"
    assert started["Content-Type"].startswith("text/css")
    body.close()
