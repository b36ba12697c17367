"""The formats of a connection are those that Continuity reads, whatever the defaults of the role are."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from config.demo.servers import Server
from tests.common.conftest import Connect
from tests.common.deadlines import ask

FOREIGN = {"datestyle": "German", "intervalstyle": "sql_standard", "bytea_output": "escape", "timezone": "Asia/Tokyo"}


@pytest.fixture
def foreign_defaults(server: Server) -> Iterator[None]:
    with psycopg.connect(server.url, autocommit=True) as admin:
        for name, value in FOREIGN.items():
            admin.execute(f"ALTER ROLE CURRENT_USER SET {name} = '{value}'")
        yield
        admin.execute("ALTER ROLE CURRENT_USER RESET ALL")


@pytest.mark.usefixtures("foreign_defaults")
@pytest.mark.parametrize("read_only", [False, True])
def test_timestamps_intervals_and_bytes_have_the_usual_formats(connect: Connect, read_only: bool) -> None:
    connection = connect(OPTIONS={"read_only": read_only})
    assert ask(connection, "SELECT timestamptz '2026-05-18 17:30Z'") == datetime(2026, 5, 18, 17, 30, tzinfo=UTC)
    assert ask(connection, "SELECT timestamptz '2026-05-18 17:30Z'::text") == "2026-05-18 17:30:00+00"
    assert ask(connection, "SELECT (interval '36 hours')::text") == "36:00:00"
    assert ask(connection, r"SELECT '\x00ff'::bytea::text") == r"\x00ff"
