"""In every kind of outage of PostgreSQL, a JWT is accepted by signature and a remembered API key opens.

tests/common/test_outage_words.py produces the words with real servers.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from psycopg import errors

from config.access import keys
from config.access.tokens import AccessToken
from tests.access.conftest import bearer, moved_to
from tests.fakes import HTML, NO_TLS, answering, refusal

WORDS = (
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    "sorry, too many clients already",
    "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    'could not write to file "base/pgsql_tmp": No space left on device',
    "could not fork new process for connection: Cannot allocate memory",
    'no pg_hba.conf entry for host "127.0.0.1", user "u", database "d", no encryption',
    "query_wait_timeout",
    "pgbouncer cannot connect to server",
    "server login has been failing, cached error: connect failed (server_login_retry)",
    "no more connections allowed (max_client_conn)",
    "client_login_timeout",
    "das Datenbanksystem startet",
)


@contextmanager
def refusing(*replies: bytes) -> Iterator[None]:
    with answering(*replies) as port, moved_to(port):
        yield


@contextmanager
def configured(**changes: Any) -> Iterator[None]:
    """Change the settings of the connection."""
    connection.close()
    before = {name: connection.settings_dict[name] for name in changes}
    connection.settings_dict.update(changes)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


OUTAGES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    **{words: lambda words=words: refusing(NO_TLS, refusal(words)) for words in WORDS},  # type: ignore[misc]
    "garbage": lambda: refusing(HTML),
    "half an answer": lambda: refusing(NO_TLS, refusal(WORDS[0])[:9]),
    "wrong password": lambda: configured(PASSWORD="hunter2"),
    "missing database": lambda: configured(NAME="nowhere"),
    "TLS required": lambda: configured(OPTIONS={"sslmode": "require"}),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=list(OUTAGES))
def test_it_admits_a_token_and_a_remembered_key(
    client: Client, transactional_db: None, ada: User, outage: Callable[[], AbstractContextManager[None]]
) -> None:
    token, (_, secret) = str(AccessToken.for_user(ada)), keys.issue("tests", 30)
    keys.remember()
    with outage():
        assert client.get("/api/whoami", headers=bearer(token)).json() == {
            "who": f"TokenUser {ada.pk}",
            "auth": "AccessToken",
        }
        assert client.get("/api/whoami", headers={"X-API-Key": secret}).json()["auth"] == "APIKey"
        assert client.get("/api/whoami", headers=bearer(token + "x")).status_code == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.DiskFull, 200),
        (errors.OutOfMemory, 200),
        (errors.IoError, 200),
        (errors.LockNotAvailable, 503),
        (errors.QueryCanceled, 503),
        (errors.SerializationFailure, 503),
        (errors.DeadlockDetected, 503),
        (errors.TooManyConnections, 503),  # the probe has a connection
    ],
)
def test_while_the_probe_is_well_only_an_exhausted_server_admits(
    client: Client,
    transactional_db: None,
    ada: User,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    status: int,
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError from error()

    token = str(AccessToken.for_user(ada))
    monkeypatch.setattr("config.access.authentication.JWTAuthentication.stored_user", fail)
    assert client.get("/api/whoami", headers=bearer(token)).status_code == status
