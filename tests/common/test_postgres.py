"""A deadline ends every wait for PostgreSQL. SIGSTOP freezes a real server in the middle of each operation."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import sleep
from typing import Any

import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError
from django.db.transaction import atomic

from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from config.demo.process import until
from config.demo.servers import Server
from tests.common.conftest import Connect
from tests.common.deadlines import ALIAS, SHORT, ask, ended_by_the_deadline, soon, stopped

COPY = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"

Action = Callable[[DatabaseWrapper], Iterator[None]]


# Each function prepares, yields for the server to be frozen, then waits for the server.


def connecting(connection: DatabaseWrapper) -> Iterator[None]:
    yield
    connection.ensure_connection()


def query(connection: DatabaseWrapper) -> Iterator[None]:
    connection.ensure_connection()
    yield
    ask(connection)


def query_in_atomic(connection: DatabaseWrapper) -> Iterator[None]:
    with atomic(using=ALIAS):
        ask(connection)
        yield
        ask(connection)


def query_in_nested_atomic(connection: DatabaseWrapper) -> Iterator[None]:
    with atomic(using=ALIAS), atomic(using=ALIAS):
        ask(connection)
        yield
        ask(connection)


def leaving_nested_atomic(connection: DatabaseWrapper) -> Iterator[None]:
    with atomic(using=ALIAS), atomic(using=ALIAS):
        ask(connection)
        yield


def commit(connection: DatabaseWrapper) -> Iterator[None]:
    with atomic(using=ALIAS):
        ask(connection)
        yield


def iterator(connection: DatabaseWrapper) -> Iterator[None]:
    rows = ContentType.objects.using(ALIAS).iterator(chunk_size=2)
    next(rows)
    yield
    list(rows)


def leaving_iterator(connection: DatabaseWrapper) -> Iterator[None]:
    rows = ContentType.objects.using(ALIAS).iterator(chunk_size=2)
    next(rows)
    yield
    del rows


def copy(connection: DatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor, cursor.copy(COPY) as rows:
        rows.read()
        yield
        for _ in rows:
            pass


def leaving_copy(connection: DatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor, cursor.copy(COPY) as rows:
        rows.read()
        yield
        raise LookupError


STOPPED: list[Action] = [
    connecting, query, query_in_atomic, query_in_nested_atomic, leaving_nested_atomic, commit, iterator,
    copy,
]  # fmt: skip


@pytest.mark.parametrize("action", STOPPED, ids=lambda action: action.__name__)
def test_it_gives_up_at_the_deadline_and_works_again_afterwards(
    connection: DatabaseWrapper, server: Server, action: Action
) -> None:
    steps = action(connection)
    next(steps)
    with stopped(server), ended_by_the_deadline(), deadline(SHORT):
        list(steps)
    assert not connection.in_atomic_block
    with atomic(using=ALIAS):
        assert ask(connection) == 1
    assert ask(connection, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") == 0


def test_it_leaves_atomic_without_waiting_for_a_new_connection(connection: DatabaseWrapper, server: Server) -> None:
    connection.ensure_connection()
    with stopped(server), ended_by_the_deadline(), atomic(using=ALIAS), deadline(SHORT):
        ask(connection)
    assert connection.connection is None


def test_it_never_commits_what_a_swallowed_deadline_cut_short(connection: DatabaseWrapper, server: Server) -> None:
    def work() -> None:
        with atomic(using=ALIAS):
            ask(connection, "INSERT INTO note VALUES ('first half')")
            with stopped(server), ended_by_the_deadline(), deadline(SHORT):
                ask(connection)
            with pytest.raises(OperationalError):
                ask(connection, "INSERT INTO note VALUES ('second half')")

    with pytest.raises(OperationalError):
        work()
    assert ask(connection, "SELECT count(*) FROM note WHERE body LIKE '%half'") == 0


@pytest.mark.parametrize("logged", [False, True])
def test_it_closes_a_cursor_in_silence(connection: DatabaseWrapper, server: Server, logged: bool) -> None:
    connection.force_debug_cursor = logged
    steps = leaving_iterator(connection)
    next(steps)
    with stopped(server), soon(), deadline(SHORT):
        list(steps)
    assert ask(connection) == 1


def test_it_keeps_the_reason_for_which_a_copy_was_left(connection: DatabaseWrapper, server: Server) -> None:
    steps = leaving_copy(connection)
    next(steps)
    with stopped(server), soon(), pytest.raises(LookupError), deadline(SHORT):
        list(steps)
    assert ask(connection) == 1


def test_it_asks_nothing_once_the_deadline_is_past(connection: DatabaseWrapper) -> None:
    connection.ensure_connection()
    with ended_by_the_deadline(), deadline(0):
        ask(connection, "INSERT INTO note VALUES ('late')")
    assert ask(connection, "SELECT count(*) FROM note WHERE body = 'late'") == 0


def test_it_holds_a_commit_that_came_in_time_for_done(connection: DatabaseWrapper) -> None:
    connection.ensure_connection()
    connection.set_autocommit(False)
    with deadline(0):
        connection.set_autocommit(True)
    assert not connection.connection.closed


def test_it_leaves_nothing_behind_when_setting_up_a_connection_takes_too_long(connection: DatabaseWrapper) -> None:
    def slowly(_: Any) -> None:
        with deadline(0):
            ask(connection)

    with pytest.MonkeyPatch.context() as patch, ended_by_the_deadline():
        patch.setattr(connection, "_configure_connection", slowly)
        ask(connection)
    assert ask(connection) == 1


def test_each_thread_has_a_deadline_of_its_own(connect: Connect, server: Server) -> None:
    ready, go = threading.Barrier(4), threading.Event()

    def work(seconds: float | None) -> Any:
        wrapper = connect()
        wrapper.ensure_connection()
        ready.wait()
        go.wait()
        if seconds is None:
            return ask(wrapper)
        with ended_by_the_deadline(), deadline(seconds):
            ask(wrapper)

    with ThreadPoolExecutor(3) as pool:
        patient, *hasty = [pool.submit(work, seconds) for seconds in (None, SHORT, 2 * SHORT)]
        ready.wait()
        with stopped(server):
            go.set()
            assert [each.result() for each in hasty] == [None, None]
            assert not patient.done()
        assert patient.result() == 1


def test_without_a_deadline_it_waits_as_djangos_own_engine_does(connection: DatabaseWrapper, server: Server) -> None:
    connection.ensure_connection()
    kept = connection.connection
    with ThreadPoolExecutor(1) as pool:
        with stopped(server):
            answer = pool.submit(ask, connection)
            sleep(2 * SHORT)
            assert not answer.done()
        assert answer.result() == 1
    assert connection.connection is kept


@pytest.mark.parametrize("binding", [False, True])
def test_it_keeps_djangos_cursors_and_loaders(connect: Connect, binding: bool) -> None:
    wrapper = connect(OPTIONS={"server_side_binding": binding})
    with wrapper.cursor() as cursor, deadline(60):
        cursor.execute("SELECT %s::timestamptz, %s::jsonb", [datetime(2026, 5, 18, tzinfo=UTC), "{}"])
        assert cursor.fetchone() == (datetime(2026, 5, 18, tzinfo=UTC), "{}")
        assert isinstance(cursor.cursor, psycopg.ClientCursor) is not binding


def _interrupt_once_asleep(backend: int, dsn: str, password: str) -> None:
    asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    with psycopg.connect(dsn, password=password, autocommit=True) as watcher:
        for _ in until(50):
            if watcher.execute(asleep, [backend]).fetchone():
                break
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_ctrl_c_still_cancels_the_query_and_keeps_the_connection(connection: DatabaseWrapper) -> None:
    connection.ensure_connection()
    kept = connection.connection
    interrupted = threading.Thread(
        target=_interrupt_once_asleep, args=(kept.info.backend_pid, kept.info.dsn, kept.info.password)
    )
    interrupted.start()
    # The deadline is longer than the sleep, so only Ctrl-C can end the query.
    with pytest.raises(KeyboardInterrupt), deadline(600):
        ask(connection, "SELECT pg_sleep(60)")
    interrupted.join()
    assert ask(connection) == 1
    assert connection.connection is kept
