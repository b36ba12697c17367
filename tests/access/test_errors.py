"""Errors as responses: status, text, JSON or page, and lines in the log."""

import logging
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.exceptions import ErrorDetail

from common.errors import NO_MEDIA_TABLE, NOT_MIGRATED
from common.postgres.deadline import deadline
from config import outage as outage_module
from config.access import keys
from config.access.tokens import AccessToken
from config.errors import sentence
from health.runs.result import ProbeResult
from health.snapshot import snapshot
from tests.access.conftest import (
    PASSWORD,
    Outage,
    bearer,
    csrf_form,
    read_only,
    sign_in,
    without_table,
    without_tables,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SECRET = "/srv/continuity"
SORRY = "PostgreSQL does not answer. Try again in a few seconds."


@pytest.fixture(autouse=True)
def _nothing_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_module, "_announced", False)


def is_json_detail(answer: Any) -> bool:
    body = answer.json()
    return set(body) == {"detail"} and isinstance(body["detail"], str) and bool(body["detail"])


# --- Every status ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/raises/invalid", 400),
        ("/page/suspicious", 400),
        ("/api/whoami", 401),
        ("/page/forbidden", 403),
        ("/api/v1/nothing", 404),
        ("/health/detailed/", 404),
        ("/health/nothing", 404),
        ("/nothing", 404),
        ("/api/v1/auth/login", 405),
        ("/api/raises/bug", 500),
        ("/page/bug", 500),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_a_program_gets_a_detail(client: Client, path: str, status: int, accept: str) -> None:
    answer = client.get(path, headers={"Accept": accept})
    assert answer.status_code == status
    assert is_json_detail(answer)
    assert answer["Content-Type"] == "application/json"
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/page/bug", 500), ("/page/suspicious", 400)])
def test_a_person_gets_a_page(client: Client, path: str, status: int) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert f"<h1>{status}</h1>" in answer.content.decode()
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/raises/bug", "/health/nothing", "/api/whoami"])
def test_an_api_address_answers_a_person_in_json_too(client: Client, path: str) -> None:
    assert is_json_detail(client.get(path, headers=BROWSER))


def test_what_cannot_be_accepted_is_406(client: Client) -> None:
    answer = client.get("/api/raises/rows", headers={"Accept": "application/xml"})
    assert answer.status_code == 406
    assert is_json_detail(answer)


def test_a_wrong_method_says_which_are_right(client: Client) -> None:
    assert client.get("/api/v1/auth/token")["Allow"] == "POST, OPTIONS"


def test_a_foreign_host_name_is_400_without_noise(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/api/whoami", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert is_json_detail(answer)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_a_bug_is_logged_with_its_traceback(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/api/raises/bug")
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info
    assert "RuntimeError" in str(record.exc_info[0])


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/token", "/api/v1/auth/logout", "/admin/login/"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_without_end_is_refused_without_noise(
    client: Client, ada: User, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    sign_in(client)
    caplog.clear()
    answer = client.post(path, b"[" + b"1," * 2_500_000, content_type=kind, headers={"Origin": "https://testserver"})
    # DRF refuses a wrong content type before reading the body, and signing out as JSON reads no body.
    read = kind == "application/json" and path in {"/api/v1/auth/login", "/api/v1/auth/token"}
    assert answer.status_code == 413 if read else 400 <= answer.status_code < 500
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_the_documentation_is_for_reading(client: Client, method: str) -> None:
    for headers in ({}, {"Accept": "text/html"}):
        answer = getattr(client, method)("/api/docs", headers=headers)
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
        assert answer["Content-Type"] == "application/json"
        assert is_json_detail(answer)
    assert client.head("/api/docs").status_code == 200
    assert client.get("/api/docs?script").status_code == 200


def test_a_form_without_its_token_is_403_in_words(client: Client) -> None:
    answer = client.post("/admin/login/", {}, headers={"Origin": "https://testserver"})
    assert answer.status_code == 403
    assert "Reload the page" in answer.content.decode()


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ({"detail": ErrorDetail("Not found."), "code": "x", "messages": [{"a": "b"}]}, "Not found."),
        ({"limit": ["A valid integer is required."]}, "limit: A valid integer is required."),
        ({"a": ["One.", "Two."], "b": ["Three."]}, "a: One. a: Two. b: Three."),
        ({"inner": {"1": ["Wrong."]}}, "inner.1: Wrong."),
        ({"rows": [{}, {"id": ["Wrong."]}]}, "rows[1].id: Wrong."),
        ({"non_field_errors": ["Both are needed."]}, "Both are needed."),
        (["One.", "Two."], "One. Two."),
        ("Plain.", "Plain."),
    ],
)
def test_it_flattens_what_rest_framework_says(problem: Any, expected: str) -> None:
    assert sentence(problem) == expected


# --- PostgreSQL not migrated -----------------------------------------------------------------------------
def test_without_its_tables_it_says_what_to_run(
    client: Client, ada: User, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    token, (_, secret) = str(AccessToken.for_user(ada)), keys.issue("tests", None)
    client.cookies["sessionid"] = "a" * 32
    for path, headers in (
        ("/api/whoami", bearer(token)),
        ("/api/whoami", {"X-API-Key": secret}),
        ("/api/whoami", {}),
        ("/", {}),
        ("/admin/", {}),
        ("/page/rows", {}),
    ):
        with without_tables():
            answer = client.get(path, headers=headers)
        assert answer.status_code == 503, path
        assert NOT_MIGRATED in unescape(answer.content.decode())
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("path", "table"),
    [("consistency/file", "files"), ("consistency/monitorjob", "monitor_jobs"), ("identities/identity", "identities")],
)
def test_a_table_that_the_media_server_makes_is_called_by_its_name(
    client: Client, admin: User, transactional_db: None, path: str, table: str
) -> None:
    sign_in(client, "root")
    with without_table(table):
        answer = client.get(f"/admin/{path}/")
    assert answer.status_code == 503
    assert NO_MEDIA_TABLE.format(table) in answer.content.decode()


def test_while_nothing_can_be_saved_signing_in_says_so_and_reading_goes_on(
    client: Client, ada: User, admin: User, transactional_db: None
) -> None:
    token = str(AccessToken.for_user(ada))
    client.get("/admin/login/")
    form = csrf_form(client) | {"username": "root", "password": PASSWORD}
    with read_only():
        answers = [sign_in(client), client.post("/admin/login/", form, headers={"Origin": "https://testserver"})]
        assert client.get("/api/whoami", headers=bearer(token)).json()["who"] == "ada"
    for answer in answers:
        assert answer.status_code == 503
        assert "PostgreSQL is read-only now" in answer.content.decode()


def test_the_missing_table_of_somebody_else_is_a_bug(client: Client, transactional_db: None) -> None:
    assert client.get("/page/foreign").status_code == 500


def test_a_wrong_address_in_the_admin_gets_no_words_about_the_api(client: Client, admin: User) -> None:
    sign_in(client, "root")
    html = client.get("/admin/nothing/").content.decode()
    assert "Not found. The address is wrong" in html
    assert "slash" not in html


# --- PostgreSQL away -------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/raises/rows", "/page/rows", "/page/render", "/page/session"])
def test_in_an_outage_it_is_503_wherever_it_is_raised(client: Client, refused: Outage, path: str) -> None:
    with refused():
        answer = client.get(path)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json() == {"detail": SORRY}


def test_in_an_outage_the_admin_says_so_on_a_page(client: Client, outage: Outage, admin: User) -> None:
    sign_in(client, "root")
    with outage(), deadline(0.5):  # config/wsgi.py sets one for each request
        answer = client.get("/admin/")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert SORRY in answer.content.decode()
    assert 'The <a href="/">start page</a>' in answer.content.decode()
    assert answer["Content-Type"].startswith("text/html")
    assert client.get("/admin/").status_code == 200


def test_in_an_outage_signing_in_to_the_admin_is_503(client: Client, refused: Outage, admin: User) -> None:
    client.get("/admin/login/")
    form = csrf_form(client) | {"username": "root", "password": "any"}
    with refused():
        assert client.get("/admin/login/").status_code == 200
        assert client.post("/admin/login/", form, headers={"Origin": "https://testserver"}).status_code == 503


def test_a_statement_that_postgres_refuses_is_503_and_logged_each_time(
    client: Client, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert client.get("/page/refused").status_code == 503
        connection.close()
    assert caplog.text.count("PostgreSQL refused a statement") == 2


def test_an_outage_is_logged_once_and_once_when_it_is_over(
    client: Client, refused: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with refused():
            for path in ("/api/raises/rows", "/page/rows", "/page/session", "/api/raises/rows"):
                client.get(path)
        client.get("/api/raises/rows")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [words.partition(";")[0] for words in said] == ["PostgreSQL does not answer", "PostgreSQL answers again"] * 2


def test_a_request_that_takes_too_long_is_no_outage_while_the_probe_is_answered(
    client: Client, transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(snapshot, "result", lambda name: ProbeResult(status="ok"))
    with deadline(0):
        answer = client.get("/page/rows")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {"detail": "The request took too long. Try again in a few seconds."}
    assert "PostgreSQL does not answer" not in caplog.text
