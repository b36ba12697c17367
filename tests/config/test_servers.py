"""The embedded servers start anywhere and keep their data."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.models import Distance, PointStruct, VectorParams
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.demo import postgres, process
from config.demo.process import HOST, Server, ServerError
from config.demo.servers import start_postgres, start_qdrant, start_valkey
from tests.servers import Shared, Start

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="not run: an ordinary user has no rights to drop")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user can enter. pytest's folders are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a PostgreSQL that has run: a new cluster takes a second."""
    folder = tmp_path_factory.mktemp("cluster")
    start_postgres(folder, durable=False).stop()
    return folder


def client(server: Server | Shared, key: str | None) -> QdrantClient:
    return QdrantClient(url=server.url, api_key=key, timeout=10, check_compatibility=False)


def remember(server: Server) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def remembers(server: Server) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchone() == (42,)


# --- PostgreSQL ------------------------------------------------------------------------------------------
def test_it_keeps_what_postgres_was_told_over_a_restart(private_postgres: Start, cluster: Path) -> None:
    first = private_postgres(data=cluster)
    remember(first)
    first.stop()
    assert not first.running()
    again = private_postgres(data=cluster, port=first.port)
    assert again.url == first.url
    assert remembers(again)


def test_it_starts_postgres_at_once_after_it_was_killed(private_postgres: Start, cluster: Path) -> None:
    first = private_postgres(data=cluster)
    remember(first)
    first.process.kill()  # without wait(): the zombie keeps the number in the lock file
    assert remembers(private_postgres(data=cluster))


def test_it_refuses_a_second_postgres_on_the_same_folder(
    private_postgres: Start, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SHUTDOWN_TIMEOUT", 0.5)
    first = private_postgres(data=cluster)
    with pytest.raises(ServerError, match=r"PostgreSQL did not start: .*lock file"):
        private_postgres(data=cluster)
    assert first.running()


def test_it_takes_a_stranger_under_the_old_number_for_no_postgres(private_postgres: Start, cluster: Path) -> None:
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL recognises processes of another user
    with subprocess.Popen(["sleep", "60"], user=user) as stranger:
        (cluster / "postgres/postmaster.pid").write_text(f"{stranger.pid}\n/somewhere\n")
        assert private_postgres(data=cluster).running()
        assert stranger.poll() is None
        stranger.kill()


def test_it_completes_a_cluster_whose_creation_was_interrupted(private_postgres: Start, tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new/PG_VERSION").write_text("18\n")
    assert private_postgres(data=tmp_path).running()


def test_it_asks_postgres_users_for_a_password_and_knows_no_superuser(postgres_server: Shared) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        port = connection.info.port
    assert rights == (False, True)
    for user, password in (("continuity", "wrong"), ("postgres", "")):
        with pytest.raises(psycopg.OperationalError, match=r"password authentication failed|no password supplied"):
            psycopg.connect(host=HOST, port=port, user=user, password=password, dbname="continuity")


@only_root
def test_it_runs_postgres_as_nobody_below_a_folder_closed_to_others(private_postgres: Start, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = private_postgres(data=closed / "a checkout with spaces" / "var")
    assert psutil.Process(server.pid).username() == "nobody"
    assert closed.stat().st_mode & 0o777 == 0o700
    remember(server)


@only_root
def test_it_copies_binaries_that_nobody_cannot_reach(
    private_postgres: Start, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(postgres, "COPIES", open_folder / "copies")
    monkeypatch.setattr(postgres, "_accessible", lambda folder: False)
    server = private_postgres()
    assert Path(psutil.Process(server.pid).exe()).is_relative_to(open_folder)


def test_it_says_which_variable_names_a_folder_without_postgres(
    private_postgres: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(ServerError, match=r"^PG_BIN=.* has no postgres and initdb"):
        private_postgres()


# --- Valkey ----------------------------------------------------------------------------------------------
def test_it_lets_into_valkey_only_who_has_the_password(valkey_server: Shared) -> None:
    with redis.Redis.from_url(valkey_server.url) as connection:
        assert connection.ping()
        assert "valkey_version" in connection.info("server")
        port = connection.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_it_finds_valkey_under_the_same_url_after_a_restart(private_valkey: Start, tmp_path: Path) -> None:
    first = private_valkey(data=tmp_path)
    first.stop()
    again = private_valkey(data=tmp_path, port=first.port)
    assert again.url == first.url
    with redis.Redis.from_url(again.url) as connection:
        assert connection.ping()


# --- Qdrant ----------------------------------------------------------------------------------------------
def test_it_serves_the_unmodified_qdrant_client_and_survives_a_kill(tmp_path: Path) -> None:
    server = start_qdrant(tmp_path)
    qdrant = client(server, None)
    qdrant.create_collection("faces", vectors_config=VectorParams(size=2, distance=Distance.DOT))
    numbered = [PointStruct(id=number, vector=[1.0, float(number)], payload={"n": number}) for number in range(20)]
    named = PointStruct(id="0f9f6b8e-3c57-4d57-9d7b-1a2b3c4d5e6f", vector=[0.0, 1.0])
    qdrant.upsert("faces", [*numbered, named])
    server.process.kill()
    server.stop()

    server = start_qdrant(tmp_path, port=server.port)
    qdrant = client(server, None)
    assert [found.name for found in qdrant.get_collections().collections] == ["faces"]
    described = qdrant.get_collection("faces")
    assert (described.status, described.points_count) == ("green", 21)
    assert qdrant.count("faces").count == 21
    seen, offset = [], None
    for page in range(5):
        points, offset = qdrant.scroll("faces", limit=8, offset=offset, with_payload=False)
        seen += [point.id for point in points]
        assert (offset is None) == (page >= 2)
        if offset is None:
            break
    assert seen == [*range(20), named.id]
    assert qdrant.delete_collection("faces")
    assert not qdrant.collection_exists("faces")
    server.stop()


def test_it_answers_errors_as_qdrant_does(qdrant_server: Shared, qdrant_key: str) -> None:
    qdrant = client(qdrant_server, qdrant_key)
    with pytest.raises(UnexpectedResponse, match=r"(?s)404.*Collection `absent` doesn.+t exist"):
        qdrant.get_collection("absent")
    qdrant.create_collection("pairs", vectors_config=VectorParams(size=2, distance=Distance.DOT))
    with pytest.raises(UnexpectedResponse, match=r"(?s)409.*already exists"):
        qdrant.create_collection("pairs", vectors_config=VectorParams(size=2, distance=Distance.DOT))
    with pytest.raises(UnexpectedResponse, match=r"(?s)400.*expected dim: 2, got 3"):
        qdrant.upsert("pairs", [PointStruct(id=1, vector=[1.0, 2.0, 3.0])])
    assert qdrant.delete_collection("pairs")


@pytest.mark.parametrize("key", [None, "wrong"])
def test_it_asks_for_the_qdrant_key_except_where_load_balancers_look(qdrant_server: Shared, key: str | None) -> None:
    with pytest.raises(UnexpectedResponse, match="401"):
        client(qdrant_server, key).get_collections()
    for path in ("readyz", "healthz", "livez"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import urllib.request as u; print(u.urlopen('{qdrant_server.url}/{path}').status)",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "200"


# --- Ports -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("start", [start_postgres, start_valkey, start_qdrant], ids=lambda start: start.__name__)
def test_it_names_the_port_that_another_holds(start: Callable[..., Server], cluster: Path) -> None:
    with socket.create_server((HOST, 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ServerError, match=f"did not start: port {port} on {HOST} is held by another"):
            start(cluster, port=port)


def test_it_takes_another_port_when_somebody_was_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as holder:
        taken, free = holder.getsockname()[1], process.free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(process, "free_port", lambda: next(ports))
        server = start_valkey(tmp_path)
        server.stop()
    assert server.port == free
