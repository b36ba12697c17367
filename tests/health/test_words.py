"""The words for what goes wrong, from exceptions that the real libraries raise; nothing else gets out."""

import socket

import httpx
import psycopg
import pytest
import redis
from django.db import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from health import words
from health.words import explain

SECRETS = ("127.0.0.1", "localhost", "hunter2", "nowhere", "/tmp", "user")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def raised_by_psycopg(conninfo: str) -> BaseException:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(conninfo, connect_timeout=2)
    return caught.value


def raised_by_redis(url: str) -> BaseException:
    client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=0.2, socket_connect_timeout=0.2)
    with client, pytest.raises(redis.RedisError) as caught:
        client.ping()
    return caught.value


def raised_by_httpx(url: str) -> BaseException:
    with pytest.raises(httpx.HTTPError) as caught:
        httpx.get(url, timeout=0.2)
    return caught.value


def test_a_closed_port_is_refused_whoever_knocks() -> None:
    port = closed_port()
    for problem in (
        raised_by_psycopg(f"host=127.0.0.1 port={port} user=user password=hunter2"),
        raised_by_redis(f"redis://user:hunter2@127.0.0.1:{port}/0"),
        raised_by_httpx(f"http://127.0.0.1:{port}/"),
    ):
        assert explain(problem, 0.0) == "connection refused", repr(problem)


def test_a_host_without_address_is_not_found() -> None:
    for problem in (
        raised_by_psycopg("host=nowhere.invalid"),
        raised_by_redis("redis://nowhere.invalid:6379/0"),
        raised_by_httpx("http://nowhere.invalid/"),
    ):
        assert explain(problem, 0.0) == "host name not found", repr(problem)


def test_silence_is_no_answer_within_the_time_waited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for problem in (raised_by_redis(f"redis://127.0.0.1:{port}/0"), raised_by_httpx(f"http://127.0.0.1:{port}/")):
            assert explain(problem, 0.5) == "no answer within 0.5 s", repr(problem)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (redis.AuthenticationError("invalid username-password pair"), "password or key refused"),
        (redis.ResponseError("NOAUTH Authentication required."), "password or key refused"),
        (psycopg.errors.InvalidPassword("for user hunter2"), "password or key refused"),
        (psycopg.errors.UndefinedTable('relation "secret" does not exist'), "a table is missing"),
        (psycopg.errors.InsufficientPrivilege("for table secret"), "permission denied"),
        (psycopg.errors.TooManyConnections(), "too many connections"),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), "starting up or shutting down"),
        (psycopg.OperationalError("FATAL:  the database system is in recovery mode"), "starting up or shutting down"),
        (
            psycopg.OperationalError("FATAL:  the database system is not yet accepting connections"),
            "starting up or shutting down",
        ),
        (
            psycopg.OperationalError("FATAL:  the database system is not accepting connections"),
            "starting up or shutting down",
        ),
        (psycopg.OperationalError('FATAL:  database "secret" does not exist'), "database not found"),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "connection lost"),
        (PermissionError(13, "Permission denied", "/tmp/secret"), "permission denied"),
        (OSError(5, "Input/output error", "/tmp/secret"), "disk error"),
        (ConnectionResetError(104, "reset"), "connection lost"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "TLS failed"),
        (TimeoutError(), "no answer within 1 s"),
    ],
)
def test_what_is_known_has_its_words(problem: BaseException, said: str) -> None:
    assert explain(problem, 1.0) == said


@pytest.mark.parametrize(
    "problem",
    [KeyError("hunter2"), ValueError("connection refused by /tmp/x"), RuntimeError("ssl"), ZeroDivisionError()],
)
def test_what_nobody_foresaw_has_none(problem: BaseException) -> None:
    assert explain(problem, 1.0) is None


def test_the_cause_speaks_where_a_library_wraps_it() -> None:
    wrapped = OperationalError("hunter2 at 127.0.0.1")
    wrapped.__cause__ = psycopg.errors.InvalidPassword()
    assert explain(wrapped, 0.0) == "password or key refused"


def test_an_http_answer_is_named_by_its_status() -> None:
    request = httpx.Request("GET", "http://user:hunter2@127.0.0.1/")
    for status, said in ((401, "password or key refused"), (404, "not found"), (502, "answered with HTTP 502")):
        answer = httpx.HTTPStatusError("hunter2", request=request, response=httpx.Response(status, request=request))
        assert explain(answer, 0.0) == said


def test_no_word_holds_a_secret() -> None:
    every = [*words.ERRNO.values(), *words.SQLSTATE.values(), *words.HTTP.values(), *(said for _, said in words.TEXT)]
    assert not [said for said in every for secret in SECRETS if secret in said]
