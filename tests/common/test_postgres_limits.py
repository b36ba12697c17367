"""PostgreSQL ends a statement whose caller has given up: no backend waits for a lock or computes for nobody."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from common.errors import explain, is_outage
from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from config.demo.process import until
from config.demo.servers import Server
from tests.common.deadlines import GENEROUS, SHORT, ask, ended_by_the_deadline, soon
from tests.documents import blocks

NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
UNLIMITED = dict.fromkeys(NAMES, "0")


@pytest.fixture
def admin(server: Server) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@contextmanager
def locked(server: Server) -> Iterator[None]:
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE note IN ACCESS EXCLUSIVE MODE")
        yield


def settings(connection: DatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(NAMES)])
        return dict(cursor.fetchall())


def backend(connection: DatabaseWrapper) -> int:
    connection.ensure_connection()
    pid: int = connection.connection.info.backend_pid
    return pid


def is_gone(admin: "psycopg.Connection[Any]", pid: int) -> bool:
    return not admin.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()


def ends(admin: "psycopg.Connection[Any]", pid: int) -> bool:
    return any(is_gone(admin, pid) for _ in until(GENEROUS))


def without_limits(connection: DatabaseWrapper) -> None:
    """Leave the end of the backend to the client."""
    ask(connection, "SET statement_timeout = 0; SET lock_timeout = 0; SET client_connection_check_interval = 0")


def test_a_session_has_shorter_timeouts_than_its_caller(connection: DatabaseWrapper) -> None:
    for seconds in (3.0, 1.0, 60.0):
        with deadline(seconds):
            values = settings(connection)
        assert all(0 < int(value) < seconds * 1000 for value in values.values()), seconds
        assert int(values["lock_timeout"]) <= min(300, seconds * 250)
    assert ask(connection, "SHOW client_connection_check_interval") == "1s"


def test_an_inner_deadline_costs_no_statement(connection: DatabaseWrapper) -> None:
    with deadline(3):
        before = settings(connection)
        with deadline(0.8):
            assert settings(connection) == before


def test_without_a_deadline_the_values_of_the_role_hold(connection: DatabaseWrapper) -> None:
    assert settings(connection) == UNLIMITED
    with deadline(3):
        assert settings(connection) != UNLIMITED
    assert settings(connection) == UNLIMITED


def test_a_locked_table_ends_the_wait_and_keeps_the_connection(connection: DatabaseWrapper, server: Server) -> None:
    pid = backend(connection)
    with locked(server), soon(), deadline(3), pytest.raises(OperationalError) as caught:
        ask(connection, "SELECT count(*) FROM note")
    assert isinstance(caught.value.__cause__, LockNotAvailable)
    assert (is_outage(caught.value), explain(caught.value)) == (False, "another session has locked a table")
    assert backend(connection) == pid


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(60)", "SELECT count(*) FROM note"])
def test_the_deadline_cancels_the_statement(
    connection: DatabaseWrapper, server: Server, admin: "psycopg.Connection[Any]", sql: str
) -> None:
    pid = backend(connection)
    without_limits(connection)
    with locked(server):
        connection.connection.limited_to = SHORT  # no timeout of the session
        with ended_by_the_deadline(), deadline(SHORT):
            ask(connection, sql)
        assert ends(admin, pid)


@pytest.mark.parametrize("sql", ["SELECT pg_sleep(60)", "SELECT count(*) FROM note"])
def test_a_backend_notices_that_its_client_is_gone(
    connection: DatabaseWrapper, server: Server, admin: "psycopg.Connection[Any]", sql: str
) -> None:
    pid = backend(connection)
    asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event IN ('PgSleep', 'relation')"
    with ThreadPoolExecutor(1) as pool, locked(server):
        answer = pool.submit(ask, connection, sql)
        assert any(admin.execute(asleep, [pid]).fetchone() for _ in until(GENEROUS))
        with socket.socket(fileno=os.dup(connection.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OperationalError):
            answer.result()
        assert ends(admin, pid)


def test_it_cancels_nothing_before_the_deadline(connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda *_, **__: pytest.fail("cancelled"))
    with deadline(60):
        assert ask(connection) == 1
    with ended_by_the_deadline(), deadline(0):  # no statement is under way
        ask(connection)


def test_the_documents_give_the_timeouts_to_a_role(server: Server, admin: "psycopg.Connection[Any]") -> None:
    admin.execute(blocks()["pooler-role"].replace("ROLE continuity", "ROLE CURRENT_USER").encode())
    try:
        with psycopg.connect(server.url) as later:
            assert later.execute("SHOW lock_timeout").fetchone() == ("300ms",)
            assert later.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)
    finally:
        admin.execute("ALTER ROLE CURRENT_USER RESET ALL")
