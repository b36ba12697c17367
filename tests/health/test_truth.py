"""No probe says `ok` for longer than TTL and deadline after the last answer of a real server that goes away."""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
import redis
from django.db import connection
from pytest_django import Settings

from config.demo.process import Server, until
from health.registry import PROBES
from health.snapshot import Snapshot
from tests.consistency.conftest import moved_to
from tests.servers import Start

LONG = 30.0
Fault = Callable[[Server], Any]


def refuse_writes(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("min-replicas-to-write", "1")


@pytest.fixture
def postgres(private_postgres: Start, transactional_db: None) -> Iterator[Server]:
    server = private_postgres()
    with moved_to(server.url):
        yield server
    connection.close()


@pytest.fixture
def valkey(private_valkey: Start, settings: Settings) -> Server:
    server = private_valkey()
    settings.REDIS_URL = server.url
    return server


@pytest.fixture
def qdrant(private_qdrant: Start, settings: Settings) -> Server:
    server = private_qdrant()
    settings.QDRANT_URL, settings.QDRANT_COLLECTIONS = server.url, []
    return server


@pytest.mark.parametrize(
    ("name", "fixture", "fault"),
    [
        ("postgres", "postgres", Server.pause),
        ("postgres", "postgres", Server.stop),
        ("redis", "valkey", Server.pause),
        ("redis", "valkey", Server.stop),
        ("redis", "valkey", refuse_writes),
        ("qdrant", "qdrant", Server.pause),
        ("qdrant", "qdrant", Server.stop),
    ],
)
def test_ok_ends_with_ttl_and_deadline_after_the_last_answer(
    snapshot_of: Callable[..., Snapshot], request: pytest.FixtureRequest, name: str, fixture: str, fault: Fault
) -> None:
    server, probe = request.getfixturevalue(fixture), PROBES[name]
    snapshot = snapshot_of({name: probe})
    assert snapshot.refresh(budget=LONG)[name].status == "ok"
    fault(server)
    answered = monotonic()
    for _ in until(LONG):
        before, last = monotonic(), snapshot.result(name)
        if last.status != "ok":
            break
        # A run that began before the fault may end after the fault.
        assert before - last.measured <= probe.ttl + probe.deadline
        assert last.measured <= answered + probe.deadline
    for _ in until(probe.ttl):
        # On a busy machine a run that began before the fault may still end here.
        assert snapshot.status() == "degraded" or snapshot.result(name).measured <= answered + probe.deadline
