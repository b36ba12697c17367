"""The index, the status page and the banner: signed in, signed out, and while PostgreSQL is down."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from common.postgres.deadline import deadline
from consistency.history.scanning import record_scan
from consistency.models.history import Trigger
from consistency.registry import CHECKS
from health.runs.result import ProbeResult
from health.snapshot import snapshot
from tests.access.conftest import PASSWORD, Outage, csrf_form, sign_in
from tests.consistency.data import a_file
from tests.health.conftest import eventually

LINKS = (
    "/health",
    "/status",
    "/health/detailed",
    "/health/consistency",
    "/api/docs",
    "/api/v1/stats/sftpgo",
    "/admin/",
)
SORRY = "PostgreSQL does not answer."


def sign_in_on_the_page(client: Client, following: str, password: str = PASSWORD) -> Any:
    client.get(f"/login?next={following}")
    form = csrf_form(client) | {"username": "ada", "password": password, "next": following}
    return client.post("/login", form, headers={"Origin": "https://testserver", "Accept": "text/html"})


@pytest.fixture
def redis_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the snapshot report an error of Redis."""
    results = {"postgres": ProbeResult(status="ok"), "redis": ProbeResult(status="error", reason="connection refused")}
    monkeypatch.setattr(snapshot, "essential", lambda: results)


@pytest.fixture
def degraded(transactional_db: None) -> None:
    """Record a scan with a finding."""
    a_file("one", "processing")
    record_scan([check for check in CHECKS.values() if check.default], trigger=Trigger.API)


def verdict(html: str) -> str:
    """Return the first line of the banner as a reader sees the line."""
    line = html.partition('<p class="verdict">')[2].partition("</p>")[0]
    return " ".join(re.sub("<[^>]+>", " ", line).split()).replace(" ,", ",")


def page(client: Client, path: str = "/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def test_it_links_to_everything_and_to_sign_in_without_asking_the_database(client: Client) -> None:
    html = page(client)
    for link in LINKS:
        assert f'href="{link}"' in html
    assert 'href="/login?next=/"' in html
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


def test_signing_in_from_it_comes_back_to_it(client: Client, ada: User) -> None:
    answer = sign_in_on_the_page(client, "/")
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_in_an_outage_it_says_so_and_keeps_the_public_links(client: Client, outage: Outage, ada: User) -> None:
    sign_in(client)
    with outage(), deadline(0.5):
        html = page(client)
    assert SORRY in html
    assert 'href="/health"' in html
    assert "Sign in</a>" not in html
    assert eventually(lambda: "Signed in as" in page(client))


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


# --- The banner ------------------------------------------------------------------------------------------
WHY = "degraded because of redis (connection refused), stale_processing (1 open), orphaned_processing (1 open)"


def test_without_signing_in_the_index_shows_the_answer_of_health_alone(
    client: Client, degraded: None, redis_down: None
) -> None:
    html = page(client)
    assert 'Health: <span class="mark degraded">degraded</span>. Version 1.0.0, build' in html
    for private in ("redis", "stale_processing", "last scan"):
        assert private not in html


@pytest.mark.parametrize("path", ["/", "/status"])
def test_the_first_line_names_the_services_and_the_checks_that_decide(
    client: Client, ada: User, degraded: None, redis_down: None, path: str
) -> None:
    sign_in(client)
    html = page(client, path)
    assert verdict(html) == WHY
    assert '#probe-redis">redis</a>' in html
    assert 'href="/admin/consistency/#check-stale_processing"' not in html, "ada may not open the page"
    for part in ("<strong>postgres</strong>", "since the start of this server,", "last scan just now ("):
        assert part in html


def test_the_landing_page_of_the_admin_has_the_banner_with_links(
    client: Client, admin: User, degraded: None, redis_down: None
) -> None:
    sign_in(client, "root")
    html = page(client, "/admin/")
    assert verdict(html) == WHY
    assert html.index('class="verdict"') < html.index("at a glance") < html.index('class="app-auth')
    for link in ("/admin/health/#probe-redis", "/admin/consistency/#check-stale_processing"):
        assert f'href="{link}"' in html


def test_before_any_scan_the_services_decide(client: Client, ada: User) -> None:
    sign_in(client)
    html = page(client)
    assert "no scan is recorded yet" in html
    assert verdict(html) == "ok Every essential service is ok"


# --- /status ---------------------------------------------------------------------------------------------
def test_any_user_sees_every_probe_on_a_page_that_loads_itself_again(client: Client, ada: User) -> None:
    sign_in(client)
    answer = client.get("/status")
    assert answer["Refresh"] == "30"
    for text in ('id="probe-pipeline"', "<strong>consistency</strong>", 'href="?refresh=0"'):
        assert text in answer.content.decode()
    assert "<script" not in answer.content.decode()
    assert "Refresh" not in client.get("/status?refresh=0")


def test_a_user_who_is_no_administrator_signs_in_on_the_way_to_the_status(client: Client, ada: User) -> None:
    answer = client.get("/status")
    assert (answer.status_code, answer["Location"]) == (302, "/login?next=/status")
    answer = sign_in_on_the_page(client, "/status", "wrong")
    assert answer.status_code == 200
    assert "Please enter a correct username and password" in answer.content.decode()
    answer = sign_in_on_the_page(client, "/status")
    assert (answer.status_code, answer["Location"]) == (302, "/status")
    assert client.get("/status").status_code == 200


def test_the_page_to_sign_in_has_the_limit_of_failures_and_leads_to_no_other_host(
    client: Client, ada: User, settings: Settings
) -> None:
    assert sign_in_on_the_page(client, "//elsewhere.example")["Location"] == "/"
    settings.LOGIN_FAILURES_PER_MINUTE = {"address_and_user": 1, "address": 60}
    sign_in_on_the_page(client, "/", "wrong")
    answer = sign_in_on_the_page(client, "/")
    assert answer.status_code == 429
    assert "Too many failed attempts to sign in" in answer.content.decode()


def test_in_an_outage_the_status_returns_by_itself(client: Client, refused: Outage, ada: User) -> None:
    sign_in(client)
    with refused():
        answer = client.get("/status", headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Refresh"]) == (503, "5")
    assert 'The <a href="/">start page</a>' in answer.content.decode()


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
def test_while_postgres_is_down_the_pages_to_sign_in_say_so(
    client: Client, monkeypatch: pytest.MonkeyPatch, db: None, path: str
) -> None:
    assert SORRY not in page(client, path)
    monkeypatch.setattr(snapshot, "known_down", lambda name: name == "postgres")
    html = page(client, path)
    assert SORRY in html
    assert 'href="/"' in html
