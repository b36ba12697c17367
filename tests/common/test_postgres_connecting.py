"""Connecting ends at the deadline, if the server never answers, refuses, or has no address."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from common.errors import explain
from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from config.demo.process import until
from tests.common.deadlines import ALIAS, GENEROUS, SHORT, ask, ended_by_the_deadline, soon


@pytest.fixture(autouse=True)
def _database_access(django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def connect(**changes: Any) -> DatabaseWrapper:
    return DatabaseWrapper({**connections["default"].settings_dict, **changes}, ALIAS)


@pytest.fixture
def black_holes() -> Iterator[list[socket.socket]]:
    """Return two listeners that never answer."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        yield [one, other]


def at(*listeners: socket.socket) -> dict[str, str]:
    ports = ",".join(str(listener.getsockname()[1]) for listener in listeners)
    return {"HOST": ",".join("127.0.0.1" for _ in listeners), "PORT": ports}


def test_it_gives_up_on_a_server_that_accepts_and_never_answers(black_holes: list[socket.socket]) -> None:
    with ended_by_the_deadline(), deadline(SHORT):
        ask(connect(**at(black_holes[0])))


def test_it_shares_one_deadline_among_all_addresses_and_names_none(black_holes: list[socket.socket]) -> None:
    with pytest.raises(OperationalError) as caught, soon(), deadline(SHORT):
        ask(connect(**at(*black_holes)))
    assert "127.0.0.1" not in str(caught.value)
    black_holes[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        black_holes[1].accept()


def test_it_reports_a_refused_port_as_psycopg_does(black_holes: list[socket.socket]) -> None:
    address = at(black_holes[0])
    black_holes[0].close()
    with pytest.raises(OperationalError, match="refused"), soon(), deadline(60):
        ask(connect(**address))


def test_it_looks_up_no_name_once_the_deadline_is_past() -> None:
    with ended_by_the_deadline(), deadline(-1):
        ask(connect(HOST="nowhere.invalid"))


@pytest.mark.parametrize(("options", "limit"), [({}, 5), ({"connect_timeout": 7}, 7)])
def test_connecting_has_a_limit_unless_the_settings_name_another(options: dict[str, int], limit: int) -> None:
    assert connect(OPTIONS=options).get_connection_params()["connect_timeout"] == limit


# --- Names -----------------------------------------------------------------------------------------------
@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let look-ups of "slow" wait for the event."""
    answers, look_up = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        if host == "slow":
            answers.wait(60)
        return look_up("127.0.0.1" if host == "slow" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answers
    answers.set()


def look_ups() -> int:
    return sum(thread.name == "bounded ('look up', 'slow')" for thread in threading.enumerate())


def test_it_leaves_a_name_server_that_hangs_and_at_most_one_thread(name_server: threading.Event) -> None:
    for _ in range(3):
        with ended_by_the_deadline(), deadline(SHORT):
            ask(connect(HOST="slow"))
        assert look_ups() == 1
    name_server.set()
    assert any(look_ups() == 0 for _ in until(GENEROUS))
    with pytest.raises(OperationalError, match="refused"), soon(), deadline(60):
        ask(connect(HOST="slow", PORT=1))


def test_an_unknown_name_is_reported_as_psycopg_does(name_server: threading.Event) -> None:
    with pytest.raises(OperationalError, match="failed to resolve host") as caught, soon(), deadline(60):
        ask(connect(HOST="nowhere.invalid"))
    assert explain(caught.value) == "host name not found"


def test_it_tries_every_address_of_every_name(black_holes: list[socket.socket]) -> None:
    address = at(*black_holes)
    black_holes[0].close()
    with ended_by_the_deadline(), deadline(SHORT):
        ask(connect(HOST="localhost,127.0.0.1", PORT=address["PORT"]))


def test_addresses_and_folders_need_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    for host, meaning in (("127.0.0.1", "refused"), ("/nowhere", "No such file")):
        with pytest.raises(OperationalError, match=meaning), deadline(60):
            ask(connect(HOST=host, PORT=1))


# --- Garbage ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [psycopg.DatabaseError, psycopg.InternalError, psycopg.errors.InvalidCatalogName])
def test_an_answer_that_is_no_postgresql_closes_the_connection_as_an_outage(
    connection: DatabaseWrapper, error: type[Exception]
) -> None:
    def answer() -> Any:
        yield from ()
        raise error("lost synchronization with server")

    connection.ensure_connection()
    opened: Any = connection.connection
    with pytest.raises(psycopg.OperationalError):
        opened.wait(answer())
    assert opened.closed
