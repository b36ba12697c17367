"""Few passwords are hashed at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import connections
from pytest_django import Settings

from config.access import hashers
from tests.access.conftest import PASSWORD, Caller, csrf_form, sign_in
from tests.health.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
HASHERS = django_settings.PASSWORD_HASHERS
BUSY = {"detail": "Too many people are signing in at this moment. Try again in 1 second."}


class Hashing:
    """Hold every hash until `go` is set. Count the hashes at work, now and at most."""

    def __init__(self) -> None:
        self.go, self._lock, self.now, self.most = Event(), Lock(), 0, 0

    def held(self, encode: Callable[..., str]) -> Callable[..., str]:
        def hold(*arguments: Any) -> str:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                assert self.go.wait(60)
                return encode(*arguments)
            finally:
                with self._lock:
                    self.now -= 1

        return hold


@pytest.fixture
def hashing(ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hashing]:
    settings.PASSWORD_HASHERS = HASHERS
    ada.set_password(PASSWORD)
    ada.save()
    held = Hashing()
    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", held.held(PBKDF2PasswordHasher.encode))
    yield held
    held.go.set()


def attempt(username: str = "ada", password: str = PASSWORD, path: str = "token") -> Any:
    """Sign in from a new address, in a thread of its own."""
    try:
        return sign_in(Caller(), username, password, path)
    finally:
        connections.close_all()


def test_two_hash_at_once_and_a_third_gets_429(hashing: Hashing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashers, "PATIENCE", 0.1)
    with ThreadPoolExecutor(2) as threads:
        first = [threads.submit(attempt, "nobody"), threads.submit(attempt, path="login")]
        assert eventually(lambda: hashing.now == 2)
        refused = [attempt(), attempt("nobody"), attempt(path="login")]
        browser = Caller()
        browser.get("/admin/login/")
        form = {"username": "ada", "password": PASSWORD} | csrf_form(browser)
        page = browser.post("/admin/login/", form, headers={"Origin": "https://testserver"})
        hashing.go.set()
        assert [signing.result().status_code for signing in first] == [401, 200]
    assert [(answer.status_code, answer["Retry-After"], answer.json()) for answer in refused] == [(429, "1", BUSY)] * 3
    assert (page.status_code, page["Retry-After"]) == (429, "1")
    assert BUSY["detail"] in page.content.decode()
    assert hashing.most == 2
    assert attempt().status_code == 200, "a refusal counts as no failure, and gives its slot back"


def test_few_wait_for_their_turn_and_the_rest_get_429_at_once(
    hashing: Hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashers, "PATIENCE", 60)
    with ThreadPoolExecutor(16) as threads:
        signing = [threads.submit(attempt) for _ in range(16)]
        assert eventually(lambda: sum(each.done() for each in signing) == 10)
        hashing.go.set()
        statuses = [each.result().status_code for each in signing]
    assert (statuses.count(200), statuses.count(429)) == (6, 10)
    assert hashing.most == 2


def test_a_hash_of_djangos_own_hasher_still_counts(hashing: Hashing, settings: Settings) -> None:
    hashing.go.set()
    assert User.objects.get(username="ada").password.startswith("pbkdf2_sha256$")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    before = User.objects.create_user("old", password=PASSWORD).password
    settings.PASSWORD_HASHERS = HASHERS
    assert attempt("old").status_code == 200
    assert User.objects.get(username="old").password == before
