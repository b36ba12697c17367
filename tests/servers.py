"""A pytest plugin that starts PostgreSQL, Valkey and Qdrant once per run, in a temporary folder.

The tests use no server of the shell or of a running demo: the plugin removes every variable of the settings. To test
with other servers, set TEST_DATABASE_URL (the role must be able to create databases), TEST_REDIS_URL, or
TEST_QDRANT_URL with TEST_QDRANT_API_KEY. The tests write to these servers.

`-p tests.servers` loads the plugin before pytest-django imports the settings.
"""

import json
import os
import re
import secrets
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from config.demo.servers import Server, ServerError, start_postgres, start_qdrant, start_valkey

# Variables of the settings and of libpq.
FOREIGN = re.compile(
    "ADMINS|ALLOWED_HOSTS|BUILD_|CONSISTENCY_|CSRF_|DATABASE_|DEMO|EMAIL_URL|FFMPEG|IDENTITIES_|JWT_|LOG_LEVEL|"
    "MIGRATIONS_|MODELS_|PG(?!_BIN)|PIPELINE_|QDRANT_|REDIS_URL|REQUEST_THREADS|SCRIPTS_|SECRET_KEY|SERVER_EMAIL|"
    "SFTPGO_|TMDB_|TRUSTED_PROXY"
)
COLLECTION = "continuity_tests"


@dataclass(frozen=True)
class Shared:
    """A server of the run. Tests that stop a server use `private_postgres`, `private_valkey` or `private_qdrant`."""

    name: str
    url: str


class Start(Protocol):
    """Start a server for one test, which may pause and stop the server."""

    def __call__(self, *, data: Path | None = None, port: int | None = None) -> Server: ...


# --- The run ---------------------------------------------------------------------------------------------
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Run before pytest-django: a wrapper runs before other hooks."""
    options = early_config.known_args_namespace
    if not (options.help or options.version):
        cleanup = ExitStack()
        early_config.add_cleanup(cleanup.close)
        try:
            _prepare(cleanup)
        except ServerError as problem:
            raise pytest.UsageError(f"The tests need their servers: {problem}") from None
    return (yield)


def _prepare(cleanup: ExitStack) -> None:
    for name in filter(FOREIGN.match, list(os.environ)):
        del os.environ[name]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # After `&` or nohup. Child processes would ignore the Ctrl-C of the tests too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="continuity-tests-"))
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    key = os.environ.get("TEST_QDRANT_API_KEY", "") if "TEST_QDRANT_URL" in os.environ else secrets.token_urlsafe()

    def server(variable: str, start: Callable[[], Server]) -> str:
        if given := os.environ.get(f"TEST_{variable}"):
            return given
        started = start()
        cleanup.callback(started.stop)
        return started.url

    os.environ |= {
        "DATABASE_URL": server("DATABASE_URL", partial(start_postgres, folder, durable=False)),
        "REDIS_URL": server("REDIS_URL", partial(start_valkey, folder)),
        "QDRANT_URL": server("QDRANT_URL", partial(start_qdrant, folder, api_key=key)),
        "QDRANT_API_KEY": key,
        "QDRANT_COLLECTIONS": COLLECTION,
        "CONSISTENCY_EXTERNAL_PAUSE": "0",  # tests of the pause set their own
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "DEMO_FILE": str(folder / "demo.json"),  # does not exist, so that the tests ignore a running demo
    }
    _create_collection()


def _create_collection() -> None:
    """Create the collection of the settings."""
    request = urllib.request.Request(
        f"{os.environ['QDRANT_URL']}/collections/{COLLECTION}",
        method="PUT",
        data=json.dumps({"vectors": {"size": 4, "distance": "Cosine"}}).encode(),
        headers={"Content-Type": "application/json", "api-key": os.environ["QDRANT_API_KEY"]},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code != 409:  # exists already in a Qdrant of an earlier run
            raise ServerError(f"Qdrant refuses to create {COLLECTION}: HTTP {answer.code}") from answer
    except OSError as problem:
        raise ServerError(f"Qdrant at TEST_QDRANT_URL cannot be reached: {problem}") from problem


# --- Fixtures --------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def postgres_server() -> Shared:
    """Return the run's PostgreSQL. Django's tests use another database, with `test_` before the name."""
    return Shared("PostgreSQL", os.environ["DATABASE_URL"])


@pytest.fixture(scope="session")
def valkey_server() -> Shared:
    """Return the run's Valkey."""
    return Shared("Valkey", os.environ["REDIS_URL"])


@pytest.fixture(scope="session")
def qdrant_server() -> Shared:
    """Return the run's Qdrant."""
    return Shared("Qdrant", os.environ["QDRANT_URL"])


@pytest.fixture(scope="session")
def qdrant_key() -> str:
    """Return the API key of the run's Qdrant, and of every private Qdrant."""
    return os.environ["QDRANT_API_KEY"]


@pytest.fixture
def private_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a PostgreSQL for the test, in `data` or a new folder."""
    yield from _private(partial(start_postgres, durable=False), tmp_path_factory)


@pytest.fixture
def private_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a Valkey for the test."""
    yield from _private(start_valkey, tmp_path_factory)


@pytest.fixture
def private_qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a Qdrant for the test, with the run's API key."""
    yield from _private(partial(start_qdrant, api_key=os.environ["QDRANT_API_KEY"]), tmp_path_factory)


def _private(launch: Callable[..., Server], folders: pytest.TempPathFactory) -> Iterator[Start]:
    with ExitStack() as started:

        def start(*, data: Path | None = None, port: int | None = None) -> Server:
            server = launch(data or folders.mktemp("server"), port=port)
            started.callback(server.stop)
            return server

        yield start
