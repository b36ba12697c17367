"""Users, clients and outages of PostgreSQL."""

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from pytest_django import Settings

from config.demo.servers import Server

PASSWORD = "correct horse battery staple"
_hosts = itertools.count(1)
Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _quick_passwords_and_test_addresses(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ROOT_URLCONF = "tests.access.urls"


class Caller(Client):
    """A client over TLS, at an address that no other test uses. Errors become responses, as in production."""

    def __init__(self, **environ: Any) -> None:
        number = next(_hosts)
        environ = {"REMOTE_ADDR": f"10.9.{number // 250}.{number % 250 + 1}"} | environ
        super().__init__(raise_request_exception=False, enforce_csrf_checks=True, **environ)

    def generic(self, *args: Any, **kwargs: Any) -> Any:
        return super().generic(*args, **kwargs | {"secure": True})


@pytest.fixture
def client() -> Client:
    return Caller()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def sign_in(client: Client, username: str = "ada", password: str = PASSWORD, path: str = "login") -> Any:
    """POST the credentials as JSON."""
    body = {"username": username, "password": password}
    return client.post(f"/api/v1/auth/{path}", body, content_type="application/json")


def csrf_form(client: Client) -> dict[str, str]:
    """Return the CSRF field of Django's forms."""
    return {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def moved_to(port: int) -> Iterator[None]:
    """Let Django connect to PostgreSQL at another port."""
    connection.close()
    home = connection.settings_dict["PORT"]
    connection.settings_dict["PORT"] = port
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["PORT"] = home


@contextmanager
def locked(model: type[Model]) -> Iterator[None]:
    """Lock the table with a short lock_timeout, so that PostgreSQL refuses every statement."""
    other = connection.copy()
    with closing(other), other.cursor() as locking, connection.cursor() as asking:
        asking.execute("SET lock_timeout = 100")
        locking.execute(f"BEGIN; LOCK TABLE {model._meta.db_table}")
        yield
    connection.close()


@contextmanager
def locked_for_long(model: type[Model]) -> Iterator[None]:
    """Lock the table, so that every statement waits."""
    other = connection.copy()
    with closing(other), other.cursor() as locking:
        locking.execute(f"BEGIN; LOCK TABLE {model._meta.db_table} IN ACCESS EXCLUSIVE MODE")
        yield
    connection.close()


@contextmanager
def without_tables() -> Iterator[None]:
    """Let Django find a database without migrations."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS empty")
        cursor.execute("SET search_path = empty")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def without_table(name: str) -> Iterator[None]:
    """Let Django find a database without this table."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {name}_elsewhere")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {name}_elsewhere RENAME TO {name}")


@contextmanager
def read_only() -> Iterator[None]:
    """Make the session read-only, like a standby."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        connection.close()


@pytest.fixture
def refused(transactional_db: None) -> Outage:
    """Return an outage: the port refuses connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return lambda: moved_to(port)


@pytest.fixture
def hanging(transactional_db: None, private_postgres: Callable[[], Server]) -> Outage:
    """Return an outage: the server accepts connections and never answers."""
    server = private_postgres()
    server.pause()
    return lambda: moved_to(server.port)


@pytest.fixture(params=["refused", "hanging"])
def outage(request: pytest.FixtureRequest, transactional_db: None) -> Outage:
    """Return an outage of either sort."""
    chosen: Outage = request.getfixturevalue(request.param)
    return chosen
