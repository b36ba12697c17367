"""Redis and Qdrant: the result of each state, on real servers."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from django.db.backends.signals import connection_created
from pytest_django import Settings

from config.demo.process import Server
from health.probes.services import RedisConnection, check_qdrant, check_redis, qdrant_client
from health.registry import PROBES, Degraded
from health.runs.result import ProbeResult
from health.snapshot import Snapshot
from tests.health.conftest import eventually
from tests.servers import COLLECTION

Start = Callable[..., Server]
Make = Callable[..., Snapshot]
PATIENT = 30.0
REQUEST = httpx.Request("GET", "http://qdrant/collections/one")


@pytest.fixture
def ask(snapshot_of: Make) -> Callable[[str], ProbeResult]:
    """Return a function that runs one probe with the current settings."""
    return lambda name: snapshot_of({name: PROBES[name]}).refresh(budget=PATIENT)[name]


# --- Redis -----------------------------------------------------------------------------------------------
@pytest.fixture
def valkey(private_valkey: Start, settings: Settings) -> redis.Redis:
    """Start a Valkey for one test and set its URL."""
    settings.REDIS_URL = private_valkey().url
    return redis.Redis.from_url(settings.REDIS_URL)


def test_redis_is_ok(ask: Callable[[str], ProbeResult]) -> None:
    assert ask("redis").status == "ok"


def test_a_wrong_redis_password_is_an_error(ask: Callable[[str], ProbeResult], settings: Settings) -> None:
    _, _, host = settings.REDIS_URL.rpartition("@")
    settings.REDIS_URL = f"redis://:hunter2@{host}"
    assert (ask("redis").status, ask("redis").reason) == ("error", "password or key refused")


def test_a_redis_that_only_reads_is_degraded(valkey: redis.Redis, ask: Callable[[str], ProbeResult]) -> None:
    with valkey:
        valkey.replicaof("127.0.0.1", "1")
    assert (ask("redis").status, ask("redis").reason) == ("degraded", "read-only")


def test_a_full_redis_is_degraded(valkey: redis.Redis, ask: Callable[[str], ProbeResult]) -> None:
    with valkey:
        valkey.config_set("maxmemory", "1")
    assert (ask("redis").status, ask("redis").reason) == ("degraded", "out of memory, refuses writes")


def test_a_redis_without_its_replicas_is_degraded(valkey: redis.Redis, ask: Callable[[str], ProbeResult]) -> None:
    with valkey:
        valkey.config_set("min-replicas-to-write", "1")
    assert (ask("redis").status, ask("redis").reason) == ("degraded", "too few replicas, refuses writes")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (redis.BusyLoadingError("LOADING Redis is loading the dataset in memory"), "loading its data"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), "cannot save to disk, refuses writes"),
        (redis.exceptions.NoPermissionError("NOPERM No permissions"), "not permitted to write"),
    ],
)
def test_states_that_cannot_be_had_on_demand_are_degraded(
    answer: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise answer

    connection = RedisConnection()
    monkeypatch.setattr(connection.redis, "set", refuse)
    with pytest.raises(Degraded) as caught:
        check_redis(connection)
    connection.close()
    assert caught.value.reason == said


def test_the_probe_leaves_no_lasting_key(valkey: redis.Redis, ask: Callable[[str], ProbeResult]) -> None:
    ask("redis")
    with valkey:
        assert [(key, 0 < valkey.ttl(key) <= 10) for key in valkey.scan_iter()] == [(b"continuity:health", True)]


def test_a_redis_that_drips_is_cut_off(
    ask: Callable[[str], ProbeResult], settings: Settings, dripping_server: str
) -> None:
    settings.REDIS_URL = f"redis://{dripping_server}/0"
    begin = time.monotonic()
    assert ask("redis").status == "error"
    assert time.monotonic() - begin < 10


# --- Qdrant ----------------------------------------------------------------------------------------------
def test_qdrant_is_ok(ask: Callable[[str], ProbeResult]) -> None:
    assert ask("qdrant").status == "ok"


def test_a_wrong_qdrant_key_is_an_error(ask: Callable[[str], ProbeResult], settings: Settings) -> None:
    settings.QDRANT_API_KEY = "hunter2"
    assert (ask("qdrant").status, ask("qdrant").reason) == ("error", "password or key refused")


def test_a_wrong_key_is_noticed_without_any_collection(ask: Callable[[str], ProbeResult], settings: Settings) -> None:
    settings.QDRANT_COLLECTIONS = []
    assert ask("qdrant").status == "ok"
    settings.QDRANT_API_KEY = ""
    assert ask("qdrant").reason == "password or key refused"


def test_a_missing_collection_is_an_error(ask: Callable[[str], ProbeResult], settings: Settings) -> None:
    settings.QDRANT_COLLECTIONS = [COLLECTION, "secret_name"]
    assert (ask("qdrant").status, ask("qdrant").reason) == ("error", "a collection is missing")


@pytest.fixture
def collection_is(monkeypatch: pytest.MonkeyPatch, settings: Settings, qdrant_key: str) -> Callable[..., None]:
    """Return a function that replaces the states of collections in answers of the real server."""
    request = urllib.request.Request(f"{settings.QDRANT_URL}/collections/{COLLECTION}", headers={"api-key": qdrant_key})
    with urllib.request.urlopen(request, timeout=10) as answer:
        real = json.load(answer)

    def become(**states: str) -> None:
        settings.QDRANT_COLLECTIONS = list(states)

        def get(self: httpx.Client, path: str) -> httpx.Response:
            result = real["result"] | {"status": states[path.removeprefix("/collections/")]}
            return httpx.Response(200, json=real | {"result": result}, request=REQUEST)

        monkeypatch.setattr(httpx.Client, "get", get)

    return become


@pytest.mark.parametrize(
    ("states", "status", "said"),
    [
        ({"one": "green", "two": "green"}, "ok", None),
        ({"one": "green", "two": "yellow"}, "degraded", "a collection is yellow"),
        ({"one": "grey", "two": "green"}, "degraded", "a collection is grey"),
        ({"one": "yellow", "two": "red"}, "error", "a collection is red"),
    ],
)
def test_the_worst_collection_decides(
    ask: Callable[[str], ProbeResult],
    collection_is: Callable[..., None],
    states: dict[str, str],
    status: str,
    said: str | None,
) -> None:
    collection_is(**states)
    result = ask("qdrant")
    assert (result.status, result.reason) == (status, said)


@pytest.mark.parametrize("body", [b"not JSON", b"[]", b'{"result": null}', b'{"result": {"status": 7}}'])
def test_an_answer_that_is_not_qdrants_is_an_error(
    ask: Callable[[str], ProbeResult], settings: Settings, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    settings.QDRANT_COLLECTIONS = ["one"]
    monkeypatch.setattr(httpx.Client, "get", lambda self, path: httpx.Response(200, content=body, request=REQUEST))
    result = ask("qdrant")
    assert (result.status, result.known) == ("error", True)
    assert result.reason in ("the answer is not JSON", "the answer is unexpected JSON")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://qdrant", "http://qdrant:6333/collections/a%2Fb%20c"),
        ("http://qdrant:80", "http://qdrant/collections/a%2Fb%20c"),
        ("https://host:9/prefix", "https://host:9/prefix/collections/a%2Fb%20c"),
    ],
)
def test_an_address_of_qdrant_may_lack_a_port_and_have_a_prefix(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, address: str
) -> None:
    requested: list[str] = []

    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        requested.append(str(request.url))
        return httpx.Response(200, json={"result": {"status": "green"}}, request=request)

    settings.QDRANT_URL, settings.QDRANT_COLLECTIONS = url, ["a/b c"]
    monkeypatch.setattr(httpx.Client, "send", send)
    with qdrant_client() as client:
        check_qdrant(client)
    assert requested == [address]


def test_a_qdrant_that_drips_is_freed_and_its_thread_too(
    snapshot_of: Make, settings: Settings, dripping_server: str
) -> None:
    settings.QDRANT_URL = f"http://{dripping_server}"
    snapshot = snapshot_of({"qdrant": PROBES["qdrant"]})
    begin = time.monotonic()
    assert snapshot.refresh(budget=PATIENT)["qdrant"].status == "error"
    assert time.monotonic() - begin < 15
    assert eventually(lambda: snapshot.result("qdrant").reason == "no answer within 1 s")


# --- PostgreSQL ------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_postgres_is_ok_and_its_connection_is_kept(snapshot_of: Make) -> None:
    made: list[int] = []

    def count(**_: Any) -> None:
        made.append(1)

    snapshot = snapshot_of({"postgres": PROBES["postgres"]}, refreshing=False)
    connection_created.connect(count)
    try:
        for _ in range(3):
            snapshot._runner("postgres").wait(snapshot._runner("postgres").request(force=True), time.monotonic() + 30)
            assert snapshot.result("postgres").status == "ok"
        assert len(made) == 1
        assert snapshot.refresh(budget=PATIENT, fresh=True)["postgres"].status == "ok"
        assert len(made) == 2
    finally:
        connection_created.disconnect(count)
