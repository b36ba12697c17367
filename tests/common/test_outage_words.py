"""The words of real servers that serve nobody: PostgreSQL and PgBouncer, in the states that a test can bring about."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from django.db import Error, connections

from common.errors import explain, is_outage, kind_of
from common.meanings import Kind
from common.postgres.base import DatabaseWrapper
from config.demo import postgres
from config.demo.process import HOST, Server, free_port, launcher, until
from config.demo.servers import start_postgres
from tests.fakes import HTML, NO_TLS, answering, refusal
from tests.servers import Start

PLAIN = {"USER": "plain", "PASSWORD": "plain"}
Ask = Callable[..., Error]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a PostgreSQL whose role is a superuser, with few connections and an ordinary role `plain`."""
    data = tmp_path_factory.mktemp("outages")
    start_postgres(data, durable=False).stop()
    cluster, binaries = data / "postgres", postgres._binaries()
    single = [str(binaries / "postgres"), "--single", "-D", postgres._reachable(cluster), "postgres"]
    postgres._run(single, cluster, data / "single.log", stdin=f"ALTER ROLE {postgres.ROLE} SUPERUSER\n")
    with (cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write("max_connections = 8\nmax_wal_senders = 0\nsuperuser_reserved_connections = 3\n")
    started = start_postgres(data, durable=False)
    try:
        superuser(started, "CREATE ROLE plain LOGIN PASSWORD 'plain'")
        yield started
    finally:
        started.stop()


def superuser(server: Server, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def wrapper(server: Server, django_db_blocker: Any) -> Iterator[Callable[..., DatabaseWrapper]]:
    """Return a function that makes a connection of Django as the role `plain`."""
    parts, made = urlsplit(server.url), ExitStack()

    def make(**changes: Any) -> DatabaseWrapper:
        where: dict[str, Any] = {
            "HOST": parts.hostname,
            "PORT": parts.port,
            "NAME": parts.path[1:],
            "OPTIONS": {},
            **PLAIN,
        }
        new = DatabaseWrapper({**connections["default"].settings_dict, **where, **changes}, "default")
        made.callback(new.close)
        return new

    with django_db_blocker.unblock(), made:
        yield make


@pytest.fixture
def ask(wrapper: Callable[..., DatabaseWrapper]) -> Ask:
    """Return a function that connects, and returns the error."""

    def connect(**changes: Any) -> Error:
        with pytest.raises(Error) as caught, wrapper(**changes).cursor() as cursor:
            cursor.execute("SELECT 1")
        return caught.value

    return connect


# --- PostgreSQL ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PASSWORD": "hunter2"}, "password or key refused"),
        ({"PASSWORD": ""}, "password or key refused"),
        ({"NAME": "nowhere"}, "database not found"),
        ({"OPTIONS": {"sslmode": "require"}}, "one side requires TLS, the other has none"),
    ],
)
def test_a_wrong_setting_is_an_outage(ask: Ask, changes: dict[str, Any], words: str) -> None:
    error = ask(**changes)
    assert (explain(error), is_outage(error)) == (words, True)


@pytest.mark.parametrize(
    ("statement", "back", "words"),
    [
        ("ALTER ROLE plain NOLOGIN", "ALTER ROLE plain LOGIN", "password or key refused"),
        (
            "ALTER ROLE plain VALID UNTIL '2000-01-01'",
            "ALTER ROLE plain VALID UNTIL 'infinity'",
            "password or key refused",
        ),
        ("ALTER ROLE plain CONNECTION LIMIT 0", "ALTER ROLE plain CONNECTION LIMIT -1", "too many connections"),
        (
            "ALTER DATABASE continuity CONNECTION LIMIT 0",
            "ALTER DATABASE continuity CONNECTION LIMIT -1",
            "too many connections",
        ),
        (
            "REVOKE CONNECT ON DATABASE continuity FROM public",
            "GRANT CONNECT ON DATABASE continuity TO public",
            "the database refuses connections",
        ),
    ],
)
def test_a_changed_right_is_an_outage(server: Server, ask: Ask, statement: str, back: str, words: str) -> None:
    superuser(server, statement)
    error = ask()
    superuser(server, back)
    assert (explain(error), is_outage(error)) == (words, True)


@pytest.mark.parametrize("rule", ["hostnossl all plain all reject", "hostssl all plain all scram-sha-256"])
def test_a_rule_that_requires_tls_is_an_outage(server: Server, ask: Ask, rule: str) -> None:
    rules = Path(psutil.Process(server.pid).cwd()) / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"{rule}\nhost all {postgres.ROLE} all scram-sha-256\n")
    superuser(server, "SELECT pg_reload_conf()")
    error = next(error for _ in until(10) if "pg_hba" in str(error := ask()))
    rules.write_text(before)
    superuser(server, "SELECT pg_reload_conf()")
    assert (explain(error), is_outage(error)) == ("pg_hba.conf refuses a connection without TLS", True)


def test_used_up_connections_are_an_outage(server: Server, ask: Ask) -> None:
    parts = urlsplit(server.url)
    plain = parts._replace(netloc=f"plain:plain@{parts.hostname}:{parts.port}").geturl()
    with ExitStack() as held:
        errors = [ask() for _ in until(30) if _refuses(held, plain)][:1]  # reserved for superusers
        for _ in range(3):
            held.enter_context(psycopg.connect(server.url))
        errors.append(ask())
    assert [explain(error) for error in errors] == ["too many connections"] * 2
    assert all(map(is_outage, errors))


def _refuses(held: ExitStack, url: str) -> bool:
    try:
        held.enter_context(psycopg.connect(url))
    except psycopg.OperationalError:
        return True
    return False


def test_a_server_that_ends_sessions_and_shuts_down_is_an_outage(
    private_postgres: Start, wrapper: Callable[..., DatabaseWrapper], ask: Ask
) -> None:
    ending = private_postgres()
    own = {"PORT": ending.port, "USER": postgres.ROLE, "PASSWORD": urlsplit(ending.url).password}
    kept = wrapper(**own)
    kept.ensure_connection()
    superuser(ending, f"SELECT pg_terminate_backend({kept.connection.info.backend_pid})")
    with pytest.raises(Error) as ended, kept.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert (explain(ended.value), is_outage(ended.value)) == ("connection lost", True)
    with psycopg.connect(ending.url):  # the server waits for the end of this session
        os.kill(ending.pid, signal.SIGTERM)
        error = next(error for _ in until(10) if "shutting" in str(error := ask(**own)))
    assert (explain(error), is_outage(error)) == ("starting up or shutting down", True)


@pytest.mark.needs("prlimit")
def test_a_session_without_memory_is_exhausted(wrapper: Callable[..., DatabaseWrapper]) -> None:
    with wrapper().cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', '1GB', false), pg_backend_pid()")
        pid = cursor.fetchone()[1]
        limit = [str(shutil.which("prlimit")), f"--pid={pid}", f"--as={psutil.Process(pid).memory_info().vms + 2**24}"]
        subprocess.run(launcher(limit, user=postgres._user()), check=True)
        with pytest.raises(Error) as caught:
            cursor.execute("SELECT array_agg(n) FROM generate_series(1, 20000000) n")
    assert (explain(caught.value), kind_of(caught.value)) == ("out of memory", Kind.EXHAUSTED)


def test_a_refusal_in_unknown_words_is_an_outage(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with answering(NO_TLS, refusal("das Datenbanksystem startet")) as port:
        error = ask(PORT=port)
    assert (explain(error), is_outage(error)) == ("connection failed", True)
    assert "das Datenbanksystem startet" in caplog.text


@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
def test_a_server_of_another_protocol_is_an_outage(ask: Ask, mode: str) -> None:
    with answering(HTML) as port:
        error = ask(PORT=port, OPTIONS={"sslmode": mode})
    assert (explain(error), is_outage(error)) == ("the answer is not understood", True)


# --- PgBouncer -------------------------------------------------------------------------------------------
CONFIGURATION = """
[databases]
continuity = host=127.0.0.1 {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
query_wait_timeout = 1
{options}
"""


@contextmanager
def pooler(folder: Path, target: str, *options: str) -> Iterator[int]:
    """Yield the port of a PgBouncer, which does not run as root."""
    port, user = free_port(), ["user = nobody"] if os.geteuid() == 0 else []
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(target=target, port=port, options="\n".join([*options, *user])))
    with subprocess.Popen(["pgbouncer", "-q", configuration], stderr=subprocess.DEVNULL) as process:
        try:
            assert any(_listens(port) for _ in until(20))
            yield port
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize(
    ("target", "name", "words"),
    [
        ("port=1 user=plain password=plain", "continuity", "PgBouncer has no connection to give"),
        ("port={port} user=plain password=hunter2", "continuity", "password or key refused"),
        ("port={port} user=plain password=plain dbname=nowhere", "continuity", "database not found"),
        ("port={port} user=plain password=plain", "nowhere", "database not found"),
    ],
)
def test_a_pooler_without_its_server_is_an_outage(
    server: Server, ask: Ask, tmp_path: Path, target: str, name: str, words: str
) -> None:
    with pooler(tmp_path, target.format(port=server.port)) as port:
        error = ask(PORT=port, NAME=name)
    assert (explain(error), is_outage(error)) == (words, True)


@pytest.mark.needs("pgbouncer")
def test_a_pooler_whose_server_has_gone_is_an_outage(
    private_postgres: Start, wrapper: Callable[..., DatabaseWrapper], tmp_path: Path
) -> None:
    gone = private_postgres()
    password = urlsplit(gone.url).password
    with pooler(tmp_path, f"port={gone.port} user={postgres.ROLE} password={password}") as port:
        kept = wrapper(PORT=port)
        kept.ensure_connection()
        gone.stop()
        words = {explain(_refused(kept)) for _ in range(4)}
    assert words <= {"connection lost", "PgBouncer has no connection to give", "PgBouncer cannot reach PostgreSQL"}
    assert "PgBouncer cannot reach PostgreSQL" in words


def _refused(connection: DatabaseWrapper) -> Error:
    with pytest.raises(Error) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert is_outage(caught.value)
    return caught.value


@pytest.mark.needs("pgbouncer")
@pytest.mark.parametrize("limit", ["max_client_conn", "max_db_client_connections", "max_user_client_connections"])
def test_a_pooler_with_too_many_clients_is_an_outage(
    server: Server, wrapper: Callable[..., DatabaseWrapper], ask: Ask, tmp_path: Path, limit: str
) -> None:
    with pooler(tmp_path, f"port={server.port} user=plain password=plain", f"{limit} = 1") as port:
        held = wrapper(PORT=port)
        assert any(_connects(held) for _ in until(10))  # PgBouncer has seen the end of the first connection
        error = ask(PORT=port)
        held.close()
    assert (explain(error), is_outage(error)) == ("too many connections", True)


def _connects(connection: DatabaseWrapper) -> bool:
    with suppress(Error):
        connection.ensure_connection()
    return connection.connection is not None
