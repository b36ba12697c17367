"""The pytest plugin that gives the tests real servers: started once per run, in a folder of its own, gone afterwards.

No test touches a server that the shell happens to name: every variable that the settings know is cleared first, a
running demo is not looked at, and the tests' own PostgreSQL, Valkey and Qdrant take their place. Only who means it
says TEST_DATABASE_URL (its role must be able to create databases), TEST_REDIS_URL, or TEST_QDRANT_URL with
TEST_QDRANT_API_KEY; those servers are then used, and written to.

Loaded with `-p tests.servers`, before pytest-django imports the settings.
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

# What the settings read, and what would lead libpq astray.
FOREIGN = re.compile(
    "ADMINS|ALLOWED_HOSTS|BUILD_|CONSISTENCY_|CSRF_|DATABASE_URL|DEMO|EMAIL_URL|FFMPEG|IDENTITIES_|JWT_|LOG_LEVEL|"
    "MIGRATIONS_|MODELS_|PG(?!_BIN)|PIPELINE_|QDRANT_|REDIS_URL|SCRIPTS_|SECRET_KEY|SERVER_EMAIL|SFTPGO_|TMDB_|TRUSTED_PROXY"
)
COLLECTION = "continuity_tests"


@dataclass(frozen=True)
class Shared:
    """One of the run's servers: to be used, not to be stopped (`private_postgres` and its like are for that)."""

    name: str
    url: str


class Start(Protocol):
    """Starts a server for one test alone, which may pause and stop it; it is stopped after the test at the latest."""

    def __call__(self, *, data: Path | None = None, port: int | None = None) -> Server: ...


# --- The run ---------------------------------------------------------------------------------------------
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Come before pytest-django: a wrapper runs ahead of all that is none."""
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
        # Behind `&` or nohup; what the tests start would inherit it, and never hear the Ctrl-C that they send.
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
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "DEMO_FILE": str(folder / "demo.json"),  # none there: a demo that runs beside the tests is not theirs
    }
    _create_collection()


def _create_collection() -> None:
    """The collection that the settings name, so that Qdrant is well unless a test changes that."""
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
        if answer.code != 409:  # it exists: a Qdrant that is kept between runs
            raise ServerError(f"Qdrant refuses to create {COLLECTION}: HTTP {answer.code}") from answer
    except OSError as problem:
        raise ServerError(f"Qdrant at TEST_QDRANT_URL cannot be reached: {problem}") from problem


# --- Fixtures --------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def postgres_server() -> Shared:
    """The run's PostgreSQL, and its own database: Django's tests use another one, `test_` before its name."""
    return Shared("PostgreSQL", os.environ["DATABASE_URL"])


@pytest.fixture(scope="session")
def valkey_server() -> Shared:
    """The run's Valkey."""
    return Shared("Valkey", os.environ["REDIS_URL"])


@pytest.fixture(scope="session")
def qdrant_server() -> Shared:
    """The run's Qdrant."""
    return Shared("Qdrant", os.environ["QDRANT_URL"])


@pytest.fixture(scope="session")
def qdrant_key() -> str:
    """The API key of the run's Qdrant, and of every private one."""
    return os.environ["QDRANT_API_KEY"]


@pytest.fixture
def private_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a PostgreSQL of the test's own, in `data` (or a new folder)."""
    yield from _private(partial(start_postgres, durable=False), tmp_path_factory)


@pytest.fixture
def private_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a Valkey of the test's own."""
    yield from _private(start_valkey, tmp_path_factory)


@pytest.fixture
def private_qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a Qdrant of the test's own, with the run's API key."""
    yield from _private(partial(start_qdrant, api_key=os.environ["QDRANT_API_KEY"]), tmp_path_factory)


def _private(launch: Callable[..., Server], folders: pytest.TempPathFactory) -> Iterator[Start]:
    with ExitStack() as started:

        def start(*, data: Path | None = None, port: int | None = None) -> Server:
            server = launch(data or folders.mktemp("server"), port=port)
            started.callback(server.stop)
            return server

        yield start
