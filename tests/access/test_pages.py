"""The index page: signed in, signed out, and while PostgreSQL is down."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from common.postgres.deadline import deadline
from health.snapshot import snapshot
from tests.access.conftest import Outage, sign_in

LINKS = ("/health", "/health/detailed", "/health/consistency", "/api/docs", "/api/v1/stats/sftpgo", "/admin/")
SORRY = "PostgreSQL does not answer."


def page(client: Client) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def test_it_links_to_everything_and_to_sign_in_without_asking_the_database(client: Client) -> None:
    html = page(client)
    for link in LINKS:
        assert f'href="{link}"' in html
    assert 'href="/admin/login/?next=/"' in html
    assert "Logout" not in html
    assert SORRY not in html
    assert "<script" not in html


def test_it_names_who_is_signed_in_and_lets_them_out(client: Client, ada: User) -> None:
    ada.username = "<b>ada"
    ada.save()
    sign_in(client, "<b>ada")
    html = page(client)
    assert "Signed in as <strong>&lt;b&gt;ada</strong>" in html
    assert '<form method="post" action="/api/v1/auth/logout"><input type="hidden" name="csrfmiddlewaretoken"' in html
    assert "Sign in</a>" not in html


def test_signing_in_from_it_comes_back_to_it(client: Client, admin: User) -> None:
    client.get("/admin/login/?next=/")
    form = {
        "username": "root",
        "password": "correct horse battery staple",
        "next": "/",
        "csrfmiddlewaretoken": client.cookies["csrftoken"].value,
    }
    answer = client.post("/admin/login/", form, headers={"Origin": "https://testserver"})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_in_an_outage_it_says_so_and_keeps_the_public_links(client: Client, outage: Outage, ada: User) -> None:
    sign_in(client)
    with outage(), deadline(0.5):
        html = page(client)
    assert SORRY in html
    assert 'href="/health"' in html
    assert "Sign in</a>" not in html
    assert "Signed in as" in page(client)


def test_while_the_snapshot_knows_of_an_outage_nobody_is_looked_up(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client)

    def never() -> None:
        raise OperationalError

    monkeypatch.setattr(snapshot, "known_down", lambda name: name == "postgres")
    monkeypatch.setattr("django.contrib.auth.get_user", never)
    assert SORRY in page(client)


def test_it_is_for_reading(client: Client) -> None:
    assert client.head("/").status_code == 200
    assert Client().put("/", secure=True).status_code == 405


def test_browsers_find_an_icon(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert answer["Content-Type"] == "image/svg+xml"
    assert answer.content.startswith(b"<svg")
    assert "max-age=86400" in answer["Cache-Control"]
