"""The service leaves PostgreSQL to the platform: few connections, and no backend that waits for nobody."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.health.conftest import eventually
from tests.health.service import IN_TIME, Answer, Service, serving_in

WORKERS = 2
REQUESTS = 64  # at once: more than both workers have threads for
# 8 for requests and 2 for probes. A backend may end a moment after its client.
MOST = 12 * WORKERS
KEPT = 2 * WORKERS
CLIENTS, SECONDS = 8, 8
TRUE = (
    "PostgreSQL answers, but another session has locked a table. Try again in a few seconds.",
    "Too many requests wait for PostgreSQL. Try again in a second.",
)
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'continuity'"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_in(tmp_path_factory.mktemp("platform")) as started:
        yield started


@pytest.fixture
def admin(service: Service) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(service.servers["postgres"].url, autocommit=True) as connection:
        yield connection


def backends(admin: "psycopg.Connection[Any]") -> int:
    (count,) = admin.execute(OURS).fetchone() or (0,)
    return int(count)


def poll(service: Service, until: float) -> list[Answer]:
    answers = []
    while time.monotonic() < until:
        answers.append(service.get("/health/detailed", key=True))
    return answers


def test_a_locked_table_fills_no_slots_and_fails_no_other_probe(
    service: Service, admin: "psycopg.Connection[Any]"
) -> None:
    assert eventually(service.is_ok, 30)
    counts, statuses = [], set()
    url, until = service.servers["postgres"].url, time.monotonic() + SECONDS
    with psycopg.connect(url) as locking, ThreadPoolExecutor(CLIENTS) as clients:
        locking.execute("LOCK TABLE rest_framework_api_key_apikey IN ACCESS EXCLUSIVE MODE")
        polls = [clients.submit(poll, service, until) for _ in range(CLIENTS)]
        while time.monotonic() < until + 1:
            counts.append(backends(admin))
            statuses.add(service.get("/health").body["status"])
            psycopg.connect(url).close()
        answers = [answer for each in polls for answer in each.result()]
    assert max(counts) <= CLIENTS + 2 * WORKERS
    assert statuses == {"ok"}
    assert {answer.status for answer in answers} == {503}
    # On a busy machine a few look-ups reach their own deadline before the words of PostgreSQL arrive.
    assert sum(answer.body["detail"] in TRUE for answer in answers) > 0.9 * len(answers)
    assert all(answer.headers["retry-after"].isdigit() for answer in answers)
    assert service.get("/health/detailed", key=True).status == 200


def test_a_burst_is_answered_over_few_connections_that_end_when_idle(
    service: Service, admin: "psycopg.Connection[Any]"
) -> None:
    assert eventually(service.is_ok, 30)
    with ThreadPoolExecutor(REQUESTS) as clients:
        answers = [clients.submit(service.ask, "/health/detailed") for _ in range(4 * REQUESTS)]
        counts = []
        while not all(answer.done() for answer in answers):
            counts.append(backends(admin))
    assert max(counts) <= MOST
    assert eventually(lambda: backends(admin) <= KEPT, 30 + 10 * IN_TIME)
