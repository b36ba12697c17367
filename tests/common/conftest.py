"""A PostgreSQL server for the tests of the database backend, and connections."""

from collections.abc import Callable, Iterator
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.db import connections

from common.postgres.base import DatabaseWrapper
from config.demo.servers import Server, start_postgres
from tests.common.deadlines import ALIAS

TABLES = """
    CREATE TABLE note (body text);
    CREATE TABLE django_content_type AS
        SELECT n AS id, 'app' AS app_label, 'model' AS model FROM generate_series(1, 9) n;
"""

Connect = Callable[..., DatabaseWrapper]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that no other test uses: the tests here freeze the server."""
    server = start_postgres(tmp_path_factory.mktemp("stopped"), durable=False)
    try:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(TABLES)
        yield server
    finally:
        server.stop()


@pytest.fixture
def connect(server: Server, django_db_blocker: Any) -> Iterator[Connect]:
    """Return a function that makes a connection of the backend."""
    made: list[DatabaseWrapper] = []
    private = dj_database_url.parse(server.url)

    def new(**changes: Any) -> DatabaseWrapper:
        wrapper = DatabaseWrapper({**connections["default"].settings_dict, **private, **changes}, ALIAS)
        wrapper.inc_thread_sharing()
        made.append(wrapper)
        return wrapper

    with django_db_blocker.unblock():
        yield new
        for wrapper in made:
            wrapper.close()


@pytest.fixture
def connection(connect: Connect) -> Iterator[DatabaseWrapper]:
    connections[ALIAS] = wrapper = connect()
    yield wrapper
    del connections[ALIAS]
