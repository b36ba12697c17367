"""The limits of failed sign-ins."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from common.postgres.deadline import deadline
from config.access import throttling
from config.access.throttling import client_address
from config.demo.servers import Server
from health.snapshot import snapshot
from tests.access.conftest import PASSWORD, Caller, sign_in


@pytest.fixture(autouse=True)
def _a_minute_that_does_not_end_and_low_limits(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: 1_800_000_018.5))
    settings.LOGIN_FAILURES_PER_MINUTE = {"address_and_user": 3, "address": 6}


@pytest.fixture
def visitor() -> Client:
    return Caller()


def admin_login(browser: Client, username: str, password: str) -> Any:
    token = browser.get("/admin/login/").cookies["csrftoken"].value
    form = {"username": username, "password": password, "csrfmiddlewaretoken": token}
    return browser.post("/admin/login/", form, headers={"Origin": "https://testserver"})


def fail(browser: Client, times: int, username: str = "ada", path: str = "login") -> list[int]:
    return [sign_in(browser, username, "wrong", path).status_code for _ in range(times)]


@pytest.mark.parametrize("path", ["login", "token"])
def test_it_stops_after_a_few_failures_and_says_until_when(visitor: Client, ada: User, path: str) -> None:
    assert fail(visitor, 3, path=path) == [401, 401, 401]
    answer = sign_in(visitor, path=path)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "42"
    assert answer.json() == {"detail": "Too many failed attempts to sign in. Try again in 42 seconds."}


def test_all_ways_to_sign_in_count_together(visitor: Client, admin: User) -> None:
    fail(visitor, 1, "root", "login")
    fail(visitor, 1, "root", "token")
    assert admin_login(visitor, "root", "wrong").status_code == 200
    answer = admin_login(visitor, "root", PASSWORD)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "42"
    assert answer["Content-Type"].startswith("text/html")
    assert "Try again in 42 seconds." in answer.content.decode()


def test_the_next_minute_is_another(visitor: Client, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(visitor, 4)
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: 1_800_000_060.0))
    assert sign_in(visitor).status_code == 200


def test_success_is_not_counted(visitor: Client, ada: User) -> None:
    assert [sign_in(visitor, path="token").status_code for _ in range(10)] == [200] * 10
    assert fail(visitor, 3) == [401, 401, 401]


def test_nobody_is_locked_out_from_another_address(visitor: Client, ada: User) -> None:
    fail(visitor, 4)
    assert sign_in(Caller()).status_code == 200


def test_nobody_is_locked_out_by_a_neighbour_who_tries_another_name(visitor: Client, ada: User) -> None:
    fail(visitor, 4, "eve")
    assert sign_in(visitor).status_code == 200


def test_one_password_on_many_names_is_stopped_too(visitor: Client, db: None) -> None:
    assert [fail(visitor, 1, f"user{n}") for n in range(8)] == [[401]] * 6 + [[429]] * 2


def test_other_spellings_of_a_name_are_the_same_name(visitor: Client, db: None) -> None:
    spellings = ["ada", "ADA", "\uff41da", "Ada"]
    assert [fail(visitor, 1, name)[0] for name in spellings] == [401, 401, 401, 429]


def test_an_outage_of_postgres_is_nobodys_failure(visitor: Client, refused: Any, ada: User) -> None:
    with refused():
        assert fail(visitor, 5) == [503] * 5
    assert sign_in(visitor).status_code == 200


# --- Addresses -------------------------------------------------------------------------------------------
def counted(
    rf: Any, settings: Settings, forwarded: str | None = None, *, peer: str = "10.0.0.1", proxies: int = 1
) -> str:
    """Return the address that a failure counts for."""
    settings.TRUSTED_PROXY = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(rf.get("/", REMOTE_ADDR=peer, headers=headers))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6, 203.0.113.9", "10.0.0.1"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9,192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, None, "10.0.0.1"),
    ],
)
def test_a_forwarded_address_is_believed_from_our_proxies_alone(
    rf: Any, settings: Settings, proxies: int, forwarded: str | None, address: str
) -> None:
    assert counted(rf, settings, forwarded, proxies=proxies) == address


@pytest.mark.parametrize("written", ["203.0.113.9", "203.0.113.9:5678", "::ffff:203.0.113.9", "[::ffff:cb00:7109]:80"])
def test_a_port_and_another_spelling_are_the_same_visitor(rf: Any, settings: Settings, written: str) -> None:
    assert counted(rf, settings, f"6.6.6.6,{written} ") == "203.0.113.9"
    assert counted(rf, settings, peer=written) == "203.0.113.9"


@pytest.mark.parametrize(
    "written", ["2001:db8:1:2::1", "[2001:DB8:1:2:ffff::9]", "[2001:db8:1:2::3]:5678", "2001:db8:1:2::1%eth0"]
)
def test_an_ipv6_visitor_counts_by_its_network(rf: Any, settings: Settings, written: str) -> None:
    assert counted(rf, settings, written) == counted(rf, settings, peer=written) == "2001:db8:1:2::"
    assert counted(rf, settings, "2001:db8:1:3::1") == "2001:db8:1:3::"


@pytest.mark.parametrize("forwarded", ["", "unknown", "1.2.3.4, ", "_hidden", "1.2.3.4:5:6", "1.2.3.999", "\0"])
def test_garbage_counts_as_the_peer(rf: Any, settings: Settings, forwarded: str) -> None:
    assert counted(rf, settings, forwarded) == "10.0.0.1"
    assert counted(rf, settings, forwarded, peer="") == "", "the peer is a Unix socket"


# --- Redis away ------------------------------------------------------------------------------------------
@pytest.fixture
def dripping(settings: Settings) -> Iterator[None]:
    """Run a Redis that sends a byte every 0.3 s, so that no read times out."""
    stop, threads = threading.Event(), []

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not stop.wait(0.3):
                connection.sendall(b"+")

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                threads.append(threading.Thread(target=drip, args=(listener.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        url = "redis://{}:{}/0".format(*listener.getsockname())
        settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": url}}
        caches["memory"].clear()
        yield
        stop.set()
        for thread in threads:
            thread.join()
    caches["memory"].clear()


def test_a_redis_that_drips_holds_nobody_up(
    visitor: Client, ada: User, dripping: None, left_behind: Callable[[], int]
) -> None:
    began = time.monotonic()
    with deadline(3.0):  # config/wsgi.py sets one for each request
        assert sign_in(visitor).status_code == 200
    assert fail(visitor, 4) == [401, 401, 401, 429]
    assert time.monotonic() - began < 15
    assert left_behind() <= 1


@pytest.fixture(params=["refused", "hanging"])
def redis_away(request: pytest.FixtureRequest, private_valkey: Any, settings: Settings) -> Iterator[Server]:
    server: Server = private_valkey()
    caches_of_today = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": server.url}}
    settings.CACHES = caches_of_today
    caches["memory"].clear()
    server.pause() if request.param == "hanging" else server.stop()
    yield server
    caches["memory"].clear()


def test_while_redis_is_away_it_counts_in_memory(visitor: Client, ada: User, redis_away: Server) -> None:
    assert fail(visitor, 4) == [401, 401, 401, 429]
    assert sign_in(Caller()).status_code == 200


def test_while_the_snapshot_says_so_redis_is_not_even_asked(
    visitor: Client, ada: User, redis_away: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(snapshot, "known_down", lambda name: name == "redis")
    assert fail(visitor, 4) == [401, 401, 401, 429]
    assert "Redis does not answer" not in caplog.text


def test_our_own_code_is_not_throttled(ada: User) -> None:
    browser = Client()
    assert not any(browser.login(username="ada", password="wrong") for _ in range(5))
    assert browser.login(username="ada", password=PASSWORD)
