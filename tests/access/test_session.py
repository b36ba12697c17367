"""Sessions: signing in and out with JSON, or from a page."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from tests.access.conftest import PASSWORD, Outage, csrf_form, sign_in

ORIGIN = {"Origin": "https://testserver"}


def csrf(client: Client) -> dict[str, str]:
    return {"X-CSRFToken": client.cookies["csrftoken"].value} | ORIGIN


def whoami(client: Client) -> Any:
    return client.get("/api/whoami")


def test_it_signs_in_with_safe_cookies(client: Client, ada: User) -> None:
    answer = sign_in(client)
    assert answer.status_code == 200
    assert answer.json() == {"detail": "Signed in as ada."}
    assert answer["Cache-Control"] == "no-store"
    session = answer.cookies["sessionid"]
    assert (session["secure"], session["httponly"], session["samesite"]) == (True, True, "Lax")
    assert whoami(client).json() == {"who": "ada", "auth": "NoneType"}


@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("eve", PASSWORD), ("ADA", PASSWORD)])
def test_it_refuses_wrong_credentials(client: Client, ada: User, username: str, password: str) -> None:
    for path in ("login", "token"):
        answer = sign_in(client, username, password, path)
        assert answer.status_code == 401
        assert answer.json() == {"detail": "Wrong user name or password."}
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
        assert "sessionid" not in answer.cookies


def test_it_refuses_a_user_who_is_not_active(client: Client, ada: User) -> None:
    User.objects.update(is_active=False)
    assert sign_in(client).status_code == 401


def test_a_password_is_taken_as_typed(client: Client, ada: User) -> None:
    ada.set_password("  spaces at both ends ")
    ada.save()
    assert sign_in(client, password="  spaces at both ends ").status_code == 200
    assert sign_in(client, password="spaces at both ends").status_code == 401


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        ("{", "application/json", 400, "JSON parse error"),
        ("[" * 100_000, "application/json", 400, "JSON parse error - it is nested too deeply."),
        ("[]", "application/json", 400, "Expected a dictionary"),
        ("null", "application/json", 400, ""),
        ("{}", "application/json", 400, "username: This field is required. password: This field is required."),
        ('{"username": "a\\u0000", "password": "b"}', "application/json", 400, "username: Null characters"),
        ('{"username": "a\\ud800", "password": "b"}', "application/json", 400, "username: Surrogate"),
        ('{"username": {"$ne": 1}, "password": "b"}', "application/json", 400, "username: Not a valid string."),
        ("username=ada&password=b", "application/x-www-form-urlencoded", 415, "Unsupported media type"),
        ("ada", "text/plain", 415, "Unsupported media type"),
    ],
)
def test_it_takes_json_alone_and_says_what_is_wrong(
    client: Client, db: None, body: str, kind: str, status: int, words: str
) -> None:
    for path in ("login", "token"):
        answer = client.post(f"/api/v1/auth/{path}", body, content_type=kind)
        assert answer.status_code == status
        assert set(answer.json()) == {"detail"}
        assert words in answer.json()["detail"]


def test_signing_in_gives_the_session_a_new_key(client: Client, ada: User) -> None:
    client.get("/page/session")
    planted = client.cookies["sessionid"].value
    sign_in(client)
    assert client.cookies["sessionid"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_it_signs_out_with_the_csrf_token(client: Client, ada: User) -> None:
    sign_in(client)
    key = client.cookies["sessionid"].value
    answer = client.post("/api/v1/auth/logout", headers=csrf(client))
    assert answer.status_code == 200
    assert answer.json() == {"detail": "Signed out."}
    assert whoami(client).status_code == 401
    assert not Session.objects.filter(session_key=key).exists()


def test_without_the_csrf_token_it_stays_signed_in(client: Client, ada: User) -> None:
    sign_in(client)
    answer = client.post("/api/v1/auth/logout", headers=ORIGIN)
    assert answer.status_code == 403
    assert answer.json() == {"detail": "CSRF Failed: CSRF token missing."}
    foreign = csrf(client) | {"Origin": "https://evil.example"}
    assert client.post("/api/v1/auth/logout", headers=foreign).status_code == 403
    assert whoami(client).status_code == 200


def test_signing_out_twice_does_no_harm(client: Client) -> None:
    assert client.post("/api/v1/auth/logout").json() == {"detail": "Signed out."}


def test_a_page_signs_out_with_its_form_and_comes_back_to_the_index(client: Client, ada: User) -> None:
    sign_in(client)
    headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"} | ORIGIN
    answer = client.post("/api/v1/auth/logout", csrf_form(client), headers=headers)
    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert whoami(client).status_code == 401


def test_a_page_that_takes_html_alone_is_sent_back_too(client: Client, ada: User) -> None:
    sign_in(client)
    headers = {"Accept": "text/html"} | ORIGIN
    refused = client.post("/api/v1/auth/logout", headers=headers)
    assert (refused.status_code, set(refused.json())) == (403, {"detail"})
    answer = client.post("/api/v1/auth/logout", csrf_form(client), headers=headers)
    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert client.post("/api/v1/auth/logout", headers={"Accept": "application/xml"}).status_code == 406


def test_a_changed_password_ends_it(client: Client, ada: User) -> None:
    sign_in(client)
    ada.set_password("another one entirely")
    ada.save()
    assert whoami(client).status_code == 401


def test_an_unknown_session_is_401(client: Client, db: None) -> None:
    client.cookies["sessionid"] = "a" * 32
    assert whoami(client).status_code == 401


def test_it_costs_two_queries(client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    sign_in(client)
    with django_assert_num_queries(2):
        whoami(client)


def test_in_an_outage_a_session_is_503_and_survives_it(client: Client, outage: Outage, ada: User) -> None:
    sign_in(client)
    with outage():
        answer = whoami(client)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json() == {"detail": "PostgreSQL does not answer. Try again in a few seconds."}
    assert "sessionid" not in answer.cookies
    assert whoami(client).json()["who"] == "ada"


def test_in_an_outage_signing_in_and_out_are_503(client: Client, refused: Outage, ada: User) -> None:
    sign_in(client)
    with refused():
        assert sign_in(client).status_code == 503
        assert client.post("/api/v1/auth/logout", headers=csrf(client)).status_code == 503
    assert whoami(client).status_code == 200


def test_in_a_demo_the_cookies_go_over_plain_http(client: Client, ada: User, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    assert not sign_in(client).cookies["sessionid"]["secure"]


def test_signing_out_of_the_admin_comes_back_to_the_index(client: Client, admin: User) -> None:
    sign_in(client, "root")
    answer = client.post("/admin/logout/", csrf_form(client), headers=ORIGIN)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert whoami(client).status_code == 401


UNSAFE = (
    *("//evil.example", "///evil.example", "https://evil.example", "https:evil.example", "https:///evil.example"),
    *(
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        " //evil.example",
        "http://testserver/",
    ),
    *("https://testserver@evil.example", "https://testserver.evil.example", "javascript:alert(1)", "data:text/html,x"),
    "",
)


@pytest.mark.parametrize("place", ["form", "query"])
def test_an_unsafe_next_leads_to_the_index(client: Client, admin: User, place: str) -> None:
    client.get("/admin/login/")
    form = {"username": "root", "password": PASSWORD}
    for target in (*UNSAFE, "/admin/auth/user/?q=a"):
        query, field = (urlencode({"next": target}), {}) if place == "query" else ("", {"next": target})
        for path, more in (("login", form), ("logout", {})):
            answer = client.post(f"/admin/{path}/?{query}", csrf_form(client) | more | field, headers=ORIGIN)
            assert (answer.status_code, answer["Location"]) == (302, "/" if target in UNSAFE else target)


def test_an_unsafe_next_is_nothing_to_a_signed_in_user(client: Client, admin: User) -> None:
    sign_in(client, "root")
    for target in UNSAFE:
        assert client.get("/admin/login/", {"next": target})["Location"] == "/admin/"
    headers = {"Accept": "text/html"} | ORIGIN
    answer = client.post("/api/v1/auth/logout", csrf_form(client) | {"next": UNSAFE[0]}, headers=headers)
    assert (answer.status_code, answer["Location"]) == (303, "/")


@pytest.mark.parametrize(("error", "status"), [(OperationalError("lost"), 503), (DatabaseError("no such row"), 400)])
def test_an_outage_while_a_session_is_saved_is_not_taken_for_a_deleted_session(
    client: Client, admin: User, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    save = Session.save

    def fail(session: Session, **options: Any) -> None:
        if options["force_update"]:
            raise error
        save(session, **options)

    client.get("/admin/login/")
    form = csrf_form(client) | {"username": "root", "password": PASSWORD}
    monkeypatch.setattr(Session, "save", fail)
    answer = client.post("/admin/login/", form, headers={"Origin": "https://testserver"})
    assert (answer.status_code, answer.get("Retry-After")) == (status, "5" if status == 503 else None)
