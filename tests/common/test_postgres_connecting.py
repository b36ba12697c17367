"""Connecting ends at the deadline, if the server never answers, refuses, or has no address."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections

from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from tests.common.deadlines import ALIAS, SHORT, ask, ended_by_the_deadline, soon


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
