"""A process has few connections: its threads share them, and the server's other clients keep their slots."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections
from django.db.transaction import atomic, on_commit

from common.errors import is_outage
from common.postgres import pool
from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from config.demo.process import until
from config.demo.servers import Server
from tests.common.conftest import Connect
from tests.common.deadlines import ALIAS, GENEROUS, SHORT, ask, ended_by_the_deadline, soon, stopped

SIZE = 3
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(pool.sizes, pool.REQUESTS, SIZE)
    yield
    pool.close_idle(pool.REQUESTS)


@pytest.fixture
def admin(server: Server) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def backends(admin: "psycopg.Connection[Any]") -> list[int]:
    return [pid for (pid,) in admin.execute(BACKENDS)]


def fall_to(number: int, admin: "psycopg.Connection[Any]") -> bool:
    return any(len(backends(admin)) == number for _ in until(GENEROUS))


def test_many_threads_share_few_connections(connect: Connect, admin: "psycopg.Connection[Any]") -> None:
    counts = []

    def work(wrapper: DatabaseWrapper) -> None:
        for _ in range(10):
            ask(wrapper, "SELECT pg_sleep(0.01)")
            counts.append(len(backends(admin)))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, [connect() for _ in range(16)]))
    assert len(counts) == 160
    assert 1 < max(counts) <= SIZE


def test_a_statement_or_a_transaction_holds_a_connection(
    connection: DatabaseWrapper, admin: "psycopg.Connection[Any]"
) -> None:
    ask(connection)
    assert connection.connection is None
    with atomic(using=ALIAS), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        held = connection.connection
    assert (held is not None, connection.connection) == (True, None)
    for row in ContentType.objects.using(ALIAS).iterator(chunk_size=2):
        assert ContentType.objects.using(ALIAS).get(pk=row.pk) == row
        assert connection.connection is held
    assert connection.connection is None
    assert len(backends(admin)) == 1


def test_a_request_without_a_free_connection_is_refused_in_time(connect: Connect) -> None:
    holders = [connect() for _ in range(SIZE)]
    cursors = [holder.cursor() for holder in holders]
    with soon(), pytest.raises(pool.TooManyRequestsError, match="too many requests wait") as caught, deadline(SHORT):
        ask(connect())
    assert not is_outage(caught.value)
    cursors[0].close()
    assert ask(connect()) == 1


def test_a_request_waits_for_a_free_connection(connect: Connect) -> None:
    cursors = [connect().cursor() for _ in range(SIZE)]
    free = threading.Timer(SHORT, cursors[0].close)
    free.start()
    with deadline(60):
        assert ask(connect()) == 1
    free.join()


def test_a_wait_for_a_connection_is_no_time_of_a_look_up(connect: Connect) -> None:
    cursors = [connect().cursor() for _ in range(SIZE)]
    free = threading.Timer(3 * SHORT, cursors[0].close)
    free.start()
    with deadline(60), deadline(SHORT):
        assert ask(connect()) == 1
    free.join()


def test_probes_do_not_wait_for_requests(connect: Connect) -> None:
    cursors = [connect().cursor() for _ in range(SIZE)]
    with pool.using(pool.POSTGRES_PROBE), deadline(60):
        assert ask(connect()) == 1
    with pool.using(pool.PROBES), connect().cursor(), ended_by_the_deadline(), deadline(SHORT):
        ask(connect())
    assert len(cursors) == SIZE
    pool.close_idle(pool.PROBES)
    pool.close_idle(pool.POSTGRES_PROBE)


def test_a_server_that_restarts_costs_no_request(connect: Connect, admin: "psycopg.Connection[Any]") -> None:
    with connect().cursor(), connect().cursor():
        pass
    for pid in backends(admin):
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert fall_to(0, admin)
    for _ in range(2 * SIZE):
        assert ask(connect()) == 1


def test_a_connection_past_its_deadline_frees_its_place(connect: Connect, server: Server) -> None:
    wrapper = connect()
    ask(wrapper)
    for _ in range(2 * SIZE):
        with stopped(server), ended_by_the_deadline(), deadline(SHORT):
            ask(wrapper)
        assert ask(wrapper) == 1


def test_a_refused_connection_frees_its_place(connect: Connect) -> None:
    wrapper = connect(PORT=1)
    for _ in range(2 * SIZE):
        with pytest.raises(OperationalError, match="refused"), soon():
            ask(wrapper)
    assert wrapper.connection is None


def test_idle_connections_are_closed(
    connect: Connect, admin: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_TIMEOUT", SHORT)
    with connect().cursor(), connect().cursor(), connect().cursor():
        assert len(backends(admin)) == SIZE
    assert fall_to(0, admin)
    assert ask(connect()) == 1


def test_the_next_caller_finds_no_trace_of_the_last(connect: Connect) -> None:
    reader, manual, writer = connect(OPTIONS={"read_only": True}), connect(), connect()
    ask(reader)
    manual.set_autocommit(False)
    ask(manual, "INSERT INTO note VALUES ('half')")
    manual.close()  # in a transaction, so the session ends
    manual.set_autocommit(False)
    ask(manual)
    manual.rollback()
    manual.close()
    ask(writer, "INSERT INTO note VALUES ('whole')")
    assert ask(reader, "SELECT string_agg(body, ' ') FROM note WHERE body IN ('half', 'whole')") == "whole"
    ask(writer, "DELETE FROM note WHERE body = 'whole'")
    with pytest.raises(Exception, match="read-only"):
        ask(reader, "DELETE FROM note")


def test_the_end_of_a_transaction_runs_its_hooks(connection: DatabaseWrapper) -> None:
    ran = []
    with atomic(using=ALIAS):
        ask(connection)
        on_commit(lambda: ran.append(ask(connection)), using=ALIAS)
    assert (ran, connection.connection) == ([1], None)


def test_the_end_of_a_request_gives_back_what_a_cursor_kept(connection: DatabaseWrapper) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    connection.close_if_unusable_or_obsolete()
    assert (connection.connection, cursor.closed) == (None, False)
    assert ask(connection) == 1


def test_a_query_after_the_deadline_leaves_the_place_of_an_idle_connection_free(connect: Connect) -> None:
    """A probe waits for a disk beyond its deadline, and then queries PostgreSQL."""
    reading = connections["default"].settings_dict["OPTIONS"] | {"read_only": True}
    for _ in range(SIZE):
        ask(connect(OPTIONS=reading))
        late = connect()  # takes the connection, and has to allow writing
        with ended_by_the_deadline(), deadline(SHORT):
            sleep(2 * SHORT)
            ask(late)
    with deadline(60):
        ask(connect())
