"""The words for states of Redis and Qdrant in which the server answers, and refuses."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from pytest_django import Settings

from config.demo.process import HOST, Server, until
from health.registry import PROBES
from health.runs.executor import OVERLOADED
from health.runs.result import ProbeResult
from health.snapshot import Snapshot
from tests.fakes import HTML, answering, http
from tests.servers import Start

PATIENT = 30.0
LOADING = b"-LOADING Valkey is loading the dataset in memory\r\n"


@pytest.fixture
def ask(snapshot_of: Callable[..., Snapshot]) -> Callable[[str], tuple[str, str | None]]:
    """Return a function that runs a probe with new connections, and returns status and reason."""

    def result(name: str) -> tuple[str, str | None]:
        snapshot = snapshot_of({name: PROBES[name]})
        answers: Iterator[ProbeResult] = (
            snapshot.refresh(budget=PATIENT, fresh=True)[name] for _ in until(PATIENT, step=0.1)
        )
        answer = next(each for each in answers if each.reason != OVERLOADED)  # on a busy machine
        return answer.status, answer.reason

    return result


Ask = Callable[[str], tuple[str, str | None]]


# --- Valkey ----------------------------------------------------------------------------------------------
@pytest.fixture
def server(private_valkey: Start, settings: Settings) -> Server:
    started = private_valkey()
    settings.REDIS_URL = started.url
    return started


@pytest.fixture
def valkey(server: Server) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client


def test_a_valkey_with_its_number_of_clients_is_full(valkey: Any, ask: Ask) -> None:
    valkey.config_set("maxclients", "1")
    assert ask("redis") == ("error", "too many connections")


def test_a_valkey_that_requires_a_password(server: Server, valkey: Any, ask: Ask, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://{HOST}:{server.port}/0"
    assert ask("redis") == ("error", "password or key refused")


def test_a_replica_without_its_primary(valkey: Any, ask: Ask) -> None:
    valkey.replicaof(HOST, "1")
    valkey.config_set("replica-serve-stale-data", "no")
    assert ask("redis") == ("degraded", "its primary is down")


def test_a_user_that_may_not_write(server: Server, valkey: Any, ask: Ask, settings: Settings) -> None:
    valkey.acl_setuser("reader", enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+@connection", "+get"])
    settings.REDIS_URL = f"redis://reader:hunter2@{HOST}:{server.port}/0"
    assert ask("redis") == ("degraded", "not permitted to write")


def test_a_valkey_that_cannot_save(server: Server, valkey: Any, ask: Ask) -> None:
    (Path(psutil.Process(server.pid).cwd()) / "dump.rdb").mkdir()
    valkey.config_set("save", "1 1")
    valkey.set("key", "value")
    valkey.bgsave()
    assert any(valkey.info("persistence")["rdb_last_bgsave_status"] == "err" for _ in until(PATIENT))
    assert ask("redis") == ("degraded", "cannot save to disk, refuses writes")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (LOADING, ("degraded", "loading its data")),
        (HTML, ("error", "the answer is not understood")),
        (b":1\r\n", ("error", "the answer is not understood")),
        (b"$x\r\n", ("error", "the answer is not understood")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ("error", "the answer is not understood")),
    ],
)
def test_answers_of_a_loading_valkey_and_of_other_servers(
    ask: Ask, settings: Settings, reply: bytes, expected: tuple[str, str]
) -> None:
    with answering(reply) as port:
        settings.REDIS_URL = f"redis://{HOST}:{port}/0"
        assert ask("redis") == expected


# --- Qdrant ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (http(401), "password or key refused"),
        (http(403, b"Invalid API key or JWT"), "password or key refused"),  # Qdrant 1.15
        (http(429), "too many requests"),
        (http(500, b"oops"), "answered with HTTP 500"),
        (http(503), "answered with HTTP 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "connection lost"),
        (b"\0\0\0\0\r\n\r\n", "the answer is not understood"),
        (http(200, b"{}")[:-1], "connection lost"),
    ],
)
def test_answers_of_a_qdrant_that_refuses(ask: Ask, settings: Settings, reply: bytes, words: str) -> None:
    with answering(reply) as port:
        settings.QDRANT_URL = f"http://{HOST}:{port}"
        assert ask("qdrant") == ("error", words)
