"""The words for exceptions that the real libraries raise, and nothing secret among them."""

import socket
import ssl

import httpx
import psycopg
import pytest
import redis
from django.db import Error, InternalError, OperationalError, ProgrammingError, connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from common import errors, meanings
from common.errors import explain
from common.postgres.connection import DeadlineError

SECRETS = ("127.0.0.1", "localhost", "hunter2", "nowhere", "/tmp", "user")
OWN = errors.NOT_MIGRATED


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


# --- Network clients -------------------------------------------------------------------------------------
def test_every_client_says_that_a_closed_port_refused_the_connection() -> None:
    port = closed_port()
    for error in (
        raised_by_psycopg(f"host=127.0.0.1 port={port} user=user password=hunter2"),
        raised_by_redis(f"redis://user:hunter2@127.0.0.1:{port}/0"),
        raised_by_httpx(f"http://127.0.0.1:{port}/"),
    ):
        assert explain(error) == "connection refused", repr(error)


def test_a_host_without_address_is_not_found() -> None:
    for error in (
        raised_by_psycopg("host=nowhere.invalid"),
        raised_by_redis("redis://nowhere.invalid:6379/0"),
        raised_by_httpx("http://nowhere.invalid/"),
    ):
        assert explain(error) == "host name not found", repr(error)


def test_a_server_without_answer_gave_none_within_the_time_waited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for error in (raised_by_redis(f"redis://127.0.0.1:{port}/0"), raised_by_httpx(f"http://127.0.0.1:{port}/")):
            assert explain(error, 0.5) == "no answer within 0.5 s", repr(error)


def test_an_http_answer_is_named_by_its_status() -> None:
    request = httpx.Request("GET", "http://user:hunter2@127.0.0.1/")
    for status, words in ((401, "password or key refused"), (404, "not found"), (502, "answered with HTTP 502")):
        answer = httpx.HTTPStatusError("hunter2", request=request, response=httpx.Response(status, request=request))
        assert explain(answer) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.AuthenticationError("invalid username-password pair"), "password or key refused"),
        (redis.ResponseError("NOAUTH Authentication required."), "password or key refused"),
        (psycopg.errors.InvalidPassword("for user hunter2"), "password or key refused"),
        (psycopg.errors.UndefinedTable('relation "secret" does not exist'), "a table is missing"),
        (psycopg.errors.InsufficientPrivilege("for table secret"), "permission denied"),
        (psycopg.errors.TooManyConnections(), "too many connections"),
        (psycopg.errors.IdleInTransactionSessionTimeout(), "connection lost"),
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
        (psycopg.OperationalError('FATAL:  role "user" does not exist'), "password or key refused"),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "connection lost"),
        (PermissionError(13, "Permission denied", "/tmp/secret"), "permission denied"),
        (FileNotFoundError(2, "No such file or directory", "/tmp/secret"), "no such file or directory"),
        (OSError(5, "Input/output error", "/tmp/secret"), "input/output error"),
        (ConnectionResetError(104, "reset"), "connection reset by peer"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "TLS failed"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "TLS failed"),
        (TimeoutError(), "no answer within 1 s"),
        (DeadlineError(), "no answer within 1 s"),
    ],
)
def test_a_foreseen_error_has_words(error: BaseException, words: str) -> None:
    assert explain(error, 1.0) == words


def test_a_timeout_after_an_unknown_time_is_not_in_time() -> None:
    assert explain(TimeoutError()) == "no answer in time"


@pytest.mark.parametrize(
    "error",
    [KeyError("hunter2"), ValueError("connection refused by /tmp/x"), RuntimeError("ssl"), OSError(9, "/tmp/x")],
)
def test_an_unforeseen_error_has_none(error: BaseException) -> None:
    assert explain(error, 1.0) is None


def test_the_cause_counts_if_a_library_wraps_it() -> None:
    wrapped = OperationalError("hunter2 at 127.0.0.1")
    wrapped.__cause__ = psycopg.errors.InvalidPassword()
    assert explain(wrapped) == "password or key refused"


def test_no_words_hold_a_secret() -> None:
    rows = [*meanings.SQLSTATE.values(), *meanings.HTTP.values(), *(meaning for _, meaning in meanings.TEXT)]
    every = [words for row in rows for words in (row.words, row.named)]
    assert not [words for words in every for secret in SECRETS if secret in words]


# --- PostgreSQL ------------------------------------------------------------------------------------------
def raised_by(*statements: str) -> Error:
    """Return the error of the last statement."""
    with pytest.raises(Error) as caught:
        execute(statements)
    return caught.value


def execute(statements: tuple[str, ...]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["SELECT * FROM hunter2.archive"], "table hunter2.archive does not exist"),
        (["SELECT * FROM archive"], "table archive does not exist"),
        (["SELECT U0.size FROM files U0"], "column size does not exist"),
        (["SELECT size FROM files"], "column size does not exist"),
        (["SELECT 1 FROM files WHERE file_uuid = 1"], "columns have types that cannot be compared: text = integer"),
        (
            ["CREATE TYPE word AS ENUM ('a')", "SELECT 'pending'::word"],
            "a column's type does not know the word pending",
        ),
        (["SELECT '/tmp'::integer"], "a column's type does not know a word"),
        (["REVOKE ALL ON files FROM CURRENT_USER", "SELECT 1 FROM files"], "no permission to read files"),
        (
            ["REVOKE ALL ON consistency_scan FROM CURRENT_USER", "SELECT 1 FROM consistency_scan"],
            "no permission to write Continuity's tables",
        ),
        (["SET TRANSACTION READ ONLY", "DELETE FROM files"], "PostgreSQL is read-only"),
        (["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(10)"], "query cancelled"),
        (["ALTER TABLE consistency_scan RENAME TO x", "SELECT 1 FROM consistency_scan"], OWN),
        (["ALTER TABLE files RENAME TO x", "SELECT 1 FROM files"], "table files does not exist"),
    ],
)
def test_postgresql_names_the_object(statements: list[str], words: str) -> None:
    assert explain(raised_by(*statements)) == words


@pytest.mark.django_db
def test_a_missing_table_names_the_next_step() -> None:
    for table in ("auth_user", "consistency_anomaly"):
        error = raised_by(f"ALTER TABLE {table} RENAME TO elsewhere", f"SELECT 1 FROM {table}")
        assert errors.is_missing_table(error)
        assert errors.missing_table(error) == OWN
    error = raised_by("ALTER TABLE monitor_jobs RENAME TO elsewhere", "SELECT 1 FROM monitor_jobs")
    assert str(errors.missing_table(error)).startswith(
        "The database has no table monitor_jobs. The media server creates"
    )


@pytest.mark.django_db
def test_a_missing_table_of_no_model_is_a_bug() -> None:
    error = raised_by("SELECT 1 FROM archive")
    assert errors.is_missing_table(error)
    assert errors.missing_table(error) is None
    assert not errors.is_missing_table(ProgrammingError())


@pytest.mark.django_db
def test_a_write_in_a_read_only_transaction_is_read_only() -> None:
    assert errors.is_read_only(raised_by("SET TRANSACTION READ ONLY", "DELETE FROM files"))
    assert not errors.is_read_only(InternalError())


@pytest.mark.parametrize(
    ("state", "expected"), [(None, True), ("08006", True), ("57P01", True), ("53300", True), ("57014", False)]
)
def test_an_outage_is_no_refused_statement(state: str | None, expected: bool) -> None:
    error = OperationalError("text")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})()
    assert errors.is_outage(error) is expected
    assert not errors.is_outage(RuntimeError())


def test_the_message_of_an_outage_has_one_line_and_a_next_step() -> None:
    message = errors.outage_message(OperationalError("refused\nby the server"))
    assert message == (
        "PostgreSQL (DATABASE_URL) does not answer: refused. Start it or correct the URL, then try again."
    )
