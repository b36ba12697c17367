"""The real server: no header of a client evades the limit of failed sign-ins."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, start
from config.demo.servers import get_status
from tests.servers import Shared

pytestmark = pytest.mark.django_db
PROXY = {"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, postgres_server: Shared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve the database of the tests behind a proxy."""
    database = urlsplit(postgres_server.url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=serving.command(port),
            url=f"http://{HOST}:{port}",
            log=tmp_path_factory.getbasetemp() / "forwarded.log",
            cwd=ROOT,
            answers=lambda: get_status(port, "/health/ready") == 200,
            environment=os.environ | {"DATABASE_URL": database, "TRUSTED_PROXY": "1"},
        )

    server = start(program, None)
    yield server
    server.stop()


@pytest.mark.parametrize("first", [True, False])
def test_a_header_with_underscores_is_no_address(server: Server, first: bool) -> None:
    # More attempts than two minutes allow: a minute may end in between.
    statuses = {sign_in(server, f"underscores {first}", "X_Forwarded_For", number, first) for number in range(21)}
    assert statuses == {401, 429}


def test_a_line_before_the_line_of_the_proxy_is_no_address(server: Server) -> None:
    assert {sign_in(server, "two", "X-Forwarded-For", number, first=True) for number in range(21)} == {401, 429}


def sign_in(server: Server, username: str, name: str, number: int, first: bool) -> int:
    """Fail to sign in, with the client's header before or after the headers of the proxy."""
    body = json.dumps({"username": username, "password": "wrong"}).encode()
    spoofed = {name: f"198.51.100.{number}"}
    headers = [*spoofed.items(), *PROXY.items()] if first else [*PROXY.items(), *spoofed.items()]
    with closing(HTTPConnection(HOST, server.port, timeout=20)) as connection:
        connection.putrequest("POST", "/api/v1/auth/token")
        # granian moves its last headers to other places.
        for header, value in [("Content-Length", len(body)), *headers, *((f"X-{n}", 0) for n in range(3))]:
            connection.putheader(header, str(value))
        connection.endheaders(body)
        return connection.getresponse().status
