"""OPTIONS={"read_only": True}: no statement writes, and no setting of the session changes."""

from collections.abc import Iterator

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import InternalError, OperationalError, connections
from django.db.transaction import atomic
from django.db.utils import Error
from psycopg import IsolationLevel

from common.postgres.base import DatabaseWrapper
from common.postgres.deadline import deadline
from config.demo.servers import Server
from tests.common.conftest import Connect
from tests.common.deadlines import ALIAS, SHORT, ask, ended_by_the_deadline, stopped

WRITES = [
    "INSERT INTO note VALUES ('written')",
    "WITH gone AS (DELETE FROM note RETURNING 1) SELECT count(*) FROM gone",
    "CREATE TABLE another (n int)",
]


@pytest.fixture
def connection(connect: Connect) -> Iterator[DatabaseWrapper]:
    connections[ALIAS] = wrapper = connect(OPTIONS={"read_only": True})
    yield wrapper
    del connections[ALIAS]


@pytest.mark.parametrize("sql", WRITES)
def test_it_refuses_to_write_in_a_transaction(connection: DatabaseWrapper, sql: str) -> None:
    with pytest.raises(InternalError, match="read-only transaction"), atomic(using=ALIAS):
        ask(connection, sql)
    assert ask(connection) == 1


@pytest.mark.parametrize("sql", WRITES)
def test_it_refuses_to_write_in_autocommit(connection: DatabaseWrapper, sql: str) -> None:
    with pytest.raises(InternalError, match="read-only transaction"):
        ask(connection, sql)
    assert ask(connection) == 1


def test_it_refuses_to_write_after_a_lost_connection(connection: DatabaseWrapper, server: Server) -> None:
    connection.ensure_connection()
    with stopped(server), ended_by_the_deadline(), deadline(SHORT):
        ask(connection)
    with pytest.raises(Error, match="read-only transaction"):
        ask(connection, WRITES[0])


def test_it_reads_in_chunks_in_autocommit(connection: DatabaseWrapper) -> None:
    assert len(list(ContentType.objects.using(ALIAS).iterator(chunk_size=2))) == 9


def test_it_changes_no_setting_of_the_session(connection: DatabaseWrapper) -> None:
    with atomic(using=ALIAS):
        assert ask(connection, "SHOW transaction_read_only") == "on"
        assert ask(connection, "SHOW default_transaction_read_only") == "off"


def test_it_keeps_the_isolation_level_of_the_options(connect: Connect) -> None:
    options = {"read_only": True, "isolation_level": IsolationLevel.REPEATABLE_READ}
    connections[ALIAS] = wrapper = connect(OPTIONS=options)
    with atomic(using=ALIAS):
        assert ask(wrapper, "SHOW transaction_isolation") == "repeatable read"
        assert ask(wrapper, "SHOW transaction_read_only") == "on"
    del connections[ALIAS]


def test_a_connection_without_the_option_writes(connect: Connect) -> None:
    wrapper = connect()
    ask(wrapper, WRITES[0])
    assert ask(wrapper, "DELETE FROM note WHERE body = 'written' RETURNING body") == "written"


def test_a_broken_statement_is_djangos_error(connection: DatabaseWrapper) -> None:
    with pytest.raises(Error, match="does not exist"):
        ask(connection, "SELECT * FROM nowhere")
    with pytest.raises(OperationalError), deadline(0):
        ask(connection)
