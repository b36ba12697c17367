"""Checks that exist for one test, and the address of the database that the tests are in."""

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import dj_database_url
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Value
from django.db.models.expressions import Expression
from django.test import Client
from pytest_django import DjangoDbBlocker

from config.access import keys
from consistency.notices import delivery
from consistency.registry import CHECKS, Check, Severity, check
from tests.consistency.admin.pages import SEE
from tests.consistency.api import correlated
from tests.consistency.api.data import ACTS, Ask, asker
from tests.consistency.api.data import person as person_who_asks
from tests.consistency.data import a_file
from tests.consistency.notices.receivers import Receive, TakeMail, receiving, sending, taking_mail
from tests.consistency.platforms import Platform, platform
from tests.servers import Shared


@pytest.fixture(scope="module")
def correlated_history(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Load a large history for the tests of one file."""
    with django_db_blocker.unblock():
        correlated.load()
        yield
        correlated.unload()


class Define(Protocol):
    def __call__(self, name: str, function: Any, *, detail: Expression | None = ...) -> Check: ...


AtMost = Callable[[int], None]
BROKEN = Value("broken")


@pytest.fixture
def define() -> Iterator[Define]:
    """Register a check, forgotten after the test."""
    before = dict(CHECKS)

    def register(name: str, function: Any, *, detail: Expression | None = BROKEN) -> Check:
        if not function.__doc__:
            function.__doc__ = "Something is broken"
        return check(name, severity=Severity.WARN, detail=detail, hint="Mend it.", tags=("scratch",))(function)

    yield register
    CHECKS.clear()
    CHECKS.update(before)


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """In place of pytest-django's: what a test stores is committed, and cleaned up ten times as quickly."""
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE files, monitor_jobs, identities, rest_framework_api_key_apikey,"
                " consistency_scan, consistency_scancheck, consistency_anomaly, consistency_anomalyevent,"
                " consistency_mute, consistency_backgroundtask"
            )


@contextmanager
def moved_to(url: str) -> Iterator[None]:
    """Let the default database be another one, for this process."""
    home = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(dj_database_url.parse(url, engine=home["ENGINE"]))
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(home)


@pytest.fixture
def media(postgres_server: Shared) -> Iterator[Platform]:
    """An empty database of a media server, which Continuity may attach."""
    with platform(postgres_server.url) as made:
        yield made


@pytest.fixture
def database_url(transactional_db: None, postgres_server: Shared) -> str:
    """The database of Django's tests, for another process: what a test stores is committed."""
    return urlsplit(postgres_server.url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


@pytest.fixture
def one_of_each(transactional_db: None) -> None:
    """What `HEALTHY` counts."""
    a_file("stale", "processing")
    a_file("rest", "unregistered")


@pytest.fixture
def person(client: Client, transactional_db: None) -> Iterator[Callable[..., User]]:
    """Sign somebody in who has these permissions only."""
    made: list[User] = []

    def sign_in(*permissions: str, name: str = "ann") -> User:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        made.append(user)
        return user

    yield sign_in
    for user in made:
        LogEntry.objects.filter(user=user).delete()
        user.delete()


@pytest.fixture
def reviewer(person: Callable[..., User]) -> User:
    return person(*SEE, "acknowledge_anomaly", "mute_check", "scan_now")


@pytest.fixture
def nobody_left(transactional_db: None) -> Iterator[None]:
    """Forget who asked over REST, and what the admin's log keeps of them."""
    yield
    LogEntry.objects.all().delete()
    User.objects.all().delete()


@pytest.fixture
def read(nobody_left: None) -> Ask:
    """Ask for a review over REST with an API key."""
    return asker({"X-API-Key": keys.issue("tests", days=1)[1]})


@pytest.fixture
def ask(nobody_left: None) -> Ask:
    """Ask over REST as somebody with all three permissions."""
    return person_who_asks("ada", *ACTS)


@pytest.fixture
def receive(settings: Any) -> Iterator[Receive]:
    """Start a receiver of notices that answers with these codes, the last one for ever; returns what it gets."""
    with ExitStack() as stack:
        yield partial(receiving, settings, stack)
        # What a thread logs later would be another test's.
        for thread in sending():
            thread.join(delivery.NOTICE_TIMEOUT)


@pytest.fixture
def mail_server(settings: Any) -> Iterator[TakeMail]:
    """Start a mail server that refuses these addresses; returns what it is told."""
    with ExitStack() as stack:
        yield partial(taking_mail, settings, stack)


@pytest.fixture
def at_most(monkeypatch: pytest.MonkeyPatch) -> Iterator[AtMost]:
    """Let files of this process grow to so many bytes and no further: what a full disk looks like."""
    # What is imported under the limit must leave no half of its bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def shadow(database_url: str) -> Iterator[AbstractContextManager[None]]:
    """Return a context in which `files` is an empty table of another schema."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shadow; CREATE TABLE shadow.files (LIKE files INCLUDING ALL)")
    yield moved_to(f"{database_url}?options=-c%20search_path%3Dshadow%2Cpublic")
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA shadow CASCADE")
