"""The OpenAPI document is valid, complete, and matches live responses."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from config.access import keys
from config.demo.process import ROOT
from config.openapi import Generator
from tests.access.conftest import PASSWORD, sign_in

Schema = dict[str, Any]
# Pages for people, and the document itself.
UNDOCUMENTED = {"/", "/status", "/login", "/api/schema", "/api/docs", "/favicon.ico"}
ASK_AT_ONCE = """
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from django.test import Client
together = Barrier(32)
def ask(number):
    together.wait(30)
    return Client(raise_request_exception=False).get("/api/schema", secure=True).status_code
with ThreadPoolExecutor(32) as clients:
    print(json.dumps(list(clients.map(ask, range(32)))))
"""


@cache
def document() -> Schema:
    return Generator().get_schema(public=True)  # type: ignore[no-untyped-call]


def routes() -> set[str]:
    """Return every path, as the URLconf spells the path."""

    def walk(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
        for pattern in patterns:
            address = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, address)
            elif isinstance(pattern, URLPattern):
                yield address

    return set(walk(get_resolver("config.urls").url_patterns))


def addresses() -> set[str]:
    """Return every path except the admin."""
    paths = (re.sub(r"<\w+:(\w+)>", r"{\1}", route) for route in routes() if not route.startswith("/admin/"))
    return set(paths) - UNDOCUMENTED


def operations() -> list[tuple[str, str, Schema]]:
    return [(path, method, found) for path, item in document()["paths"].items() for method, found in item.items()]


def test_it_is_valid() -> None:
    validate_schema(document())  # type: ignore[no-untyped-call]


def test_it_describes_every_address_and_no_other() -> None:
    assert set(document()["paths"]) == addresses()
    assert {"/health", "/health/detailed", "/health/consistency", "/api/v1/stats/sftpgo"} <= addresses()


def test_no_address_ends_with_a_slash() -> None:
    assert not [address for address in addresses() if address.endswith("/")]


def test_every_operation_has_a_summary_a_tag_and_a_good_answer() -> None:
    for path, method, operation in operations():
        assert operation["summary"].strip("."), path
        assert not operation.get("description", "").startswith(operation["summary"]), path
        assert operation["tags"], path
        assert operation["responses"]["200"]["content"], (path, method)


def test_every_failure_is_described_as_a_detail() -> None:
    for path, _, operation in operations():
        for code, answer in operation["responses"].items():
            if code in {"400", "401", "403", "415", "429"}:
                schema = resolved(answer["content"]["application/json"]["schema"])
                assert list(schema["properties"]) == ["detail"], (path, code)


def test_what_needs_credentials_names_all_three_and_what_happens_without() -> None:
    secured = {path: operation for path, _, operation in operations() if operation.get("security", [{}]) != [{}]}
    for path in ("/health/detailed", "/health/consistency"):
        assert secured[path]["security"] == [{"jwt": []}, {"apiKey": []}, {"session": []}]
        assert {"200", "401", "503"} <= set(secured[path]["responses"])
    schemes = document()["components"]["securitySchemes"]
    assert schemes["jwt"] | {"description": ""} == {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": ""
    }  # fmt: skip
    assert (schemes["apiKey"]["in"], schemes["apiKey"]["name"]) == ("header", "X-API-Key")
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", "sessionid")


def test_what_is_public_asks_for_nothing() -> None:
    for path, _, operation in operations():
        if path in {"/health", "/health/live", "/health/ready", "/api/v1/stats/sftpgo", "/api/v1/auth/token"}:
            assert operation.get("security", [{}]) == [{}], path


# --- Live ------------------------------------------------------------------------------------------------
def resolved(schema: Schema) -> Schema:
    reference = schema.get("$ref", "")
    return resolved(document()["components"]["schemas"][reference.rpartition("/")[2]]) if reference else schema


def hold(answer: Any, method: str = "get") -> None:
    """Validate a live response against the document."""
    path = answer.wsgi_request.path
    described = document()["paths"][path][method]["responses"][str(answer.status_code)]
    schema = {"components": document()["components"], **described["content"]["application/json"]["schema"]}
    errors = list(Draft202012Validator(schema).iter_errors(answer.json()))
    assert not errors, (path, errors)


@pytest.fixture
def secret(db: None) -> str:
    return keys.issue("tests", 1)[1]


@pytest.mark.parametrize("path", sorted({path for path, method, _ in operations() if method == "get"}))
def test_live_answers_are_as_described(client: Client, secret: str, path: str) -> None:
    for headers in ({}, {"X-API-Key": secret}, {"X-API-Key": "wrong"}):
        hold(client.get(path, headers=headers))


def test_live_sign_ins_are_as_described(client: Client, ada: User) -> None:
    for path in ("login", "token"):
        for password in (PASSWORD, "wrong", ""):
            hold(sign_in(client, password=password, path=path), "post")
    refresh = sign_in(client, path="token").json()["refresh"]
    for body in ({"refresh": refresh}, {"refresh": "x"}, {}):
        hold(client.post("/api/v1/auth/token/refresh", body, content_type="application/json"), "post")
    hold(client.post("/api/v1/auth/logout", headers={"Origin": "https://testserver"}), "post")


def test_the_examples_are_as_described() -> None:
    for path, method, operation in operations():
        for code, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                if kind == "application/json":
                    schema = {"components": document()["components"], **media["schema"]}
                    for name, example in media.get("examples", {}).items():
                        errors = list(Draft202012Validator(schema).iter_errors(example["value"]))
                        assert not errors, (path, method, code, name, errors)


# --- Served ----------------------------------------------------------------------------------------------
def test_it_is_served_to_anyone_without_asking_the_database(client: Client) -> None:
    answer = client.get("/api/schema")
    assert answer.status_code == 200
    assert json.loads(answer.content) == json.loads(json.dumps(document()))
    assert client.get("/api/schema", headers={"Accept": "*/*", "X-API-Key": "wrong"}).status_code == 200


def test_many_clients_may_ask_a_new_process_at_once() -> None:
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", ASK_AT_ONCE]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ended.stdout) == [200] * 32, ended.stderr


def test_its_page_needs_no_other_host_and_no_inline_script(client: Client, db: None) -> None:
    html = client.get("/api/docs").content.decode()
    assert '<html lang="en">' in html
    assert set(re.findall(r'(?:src|href)="([^"]+)"', html)) == {
        "/favicon.ico",
        "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
        "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
        "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-standalone-preset.js",
        "/api/docs?script=",
    }
    assert not re.search(r"<script>", html)
    for address in re.findall(r'src="([^"]+)"', html):
        answer = client.get(address)
        answer.close()
        assert answer.status_code == 200
        assert "javascript" in answer["Content-Type"]


def test_its_page_is_dark_for_who_prefers_that(client: Client, db: None) -> None:
    script = client.get("/api/docs?script=").content.decode()
    assert "SwaggerUIBundle(" in script
    assert 'matchMedia("(prefers-color-scheme: dark)")' in script
    (style,) = re.findall(r'href="([^"]+\.css)"', client.get("/api/docs").content.decode())
    answer = client.get(style)
    assert "html.dark-mode" in b"".join(answer).decode()
