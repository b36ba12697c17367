"""The service while PostgreSQL, Redis or Qdrant is stopped or hangs: every answer is in time, and true."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.demo.process import HOST, ROOT, Server, until
from tests.health.conftest import eventually
from tests.health.service import STARTS, Answer, Service, serving_in

REQUESTS = 64  # at once: more than both workers have threads for
SKIPPED = ("schema", "identities", "config")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_in(tmp_path_factory.mktemp("platform")) as started:
        yield started


@pytest.mark.parametrize("how", ["silent", "refused"])
@pytest.mark.parametrize("name", ["postgres", "redis", "qdrant"])
def test_with_one_server_away_all_is_answered_in_time_and_true(
    service: Service, busy_threads: int, name: str, how: str
) -> None:
    assert eventually(service.is_ok, 30)
    _take_away(service.servers[name], how)
    try:
        service.get("/health/detailed", key=True)  # before anybody knows
        assert eventually(lambda: _all_say_degraded(service), 20)
        _check_public(service)
        _check_detailed(service, name)
        assert service.threads() <= busy_threads + 4
    finally:
        if how == "silent":
            service.servers[name].resume()
        else:
            service.restart(name)
    assert eventually(service.is_ok, 30)
    detailed = service.get("/health/detailed?fresh=1", key=True)
    assert {part["status"] for part in detailed.body["services"].values()} == {"ok"}


@pytest.fixture(scope="module")
def busy_threads(service: Service) -> int:
    """Return the number of threads after both workers have started all request threads and all probe threads."""
    assert eventually(service.is_ok, 30)
    counts: list[int] = []
    for _ in until(30, step=0):
        with ThreadPoolExecutor(REQUESTS) as pool:
            list(pool.map(lambda _: service.ask("/health/detailed?fresh=1"), range(2 * REQUESTS)))
        counts.append(service.threads())
        if len(counts) > 2 and counts[-1] == counts[-2] == counts[-3]:
            break
    return counts[-1]


def _take_away(server: Server, how: str) -> None:
    if how == "silent":
        server.pause()
    else:
        server.stop()


def _all_say_degraded(service: Service) -> bool:
    # So many requests that both workers answer some of them.
    return all(service.get("/health").body["status"] == "degraded" for _ in range(40))


def _check_public(service: Service) -> None:
    health = service.get("/health")
    assert (health.status, health.body["status"]) == (200, "degraded")
    assert list(health.body) == ["status", "version", "build_git_hash", "build_timestamp", "uptime_ms"]
    strict = service.get("/health?strict=1")
    assert (strict.status, list(strict.body)) == (503, list(health.body))
    assert strict.headers["retry-after"].isdigit()
    assert service.get("/health/live").status == 200
    assert service.get("/health/ready").status == 200
    assert service.get("/health/detailed").status == 401
    assert service.get("/api/v1/stats/sftpgo").body["status"] == "disabled"


def _check_detailed(service: Service, name: str) -> None:
    # A result from just before the outage stays valid for a second.
    assert eventually(lambda: _skipped(service.get("/health/detailed", key=True)) == (name == "postgres"))
    answer = service.get("/health/detailed?fresh=1", key=True)
    assert (answer.status, answer.body["status"]) == (200, "degraded")
    services = answer.body["services"]
    assert {found: part["status"] for found, part in services.items()} == {
        found: "error" if found == name else "ok" for found in ("postgres", "redis", "qdrant")
    }
    assert services[name]["error"]
    assert eventually(lambda: _skipped(service.get("/health/detailed?fresh=1", key=True)) == (name == "postgres"))
    assert None not in answer.body["resources"].values()
    assert None not in answer.body["pipeline"].values()


def _skipped(answer: Answer) -> bool:
    return {answer.body[section].get("error") for section in SKIPPED} == {"skipped: postgres is down"}


def test_with_everything_away_no_word_betrays_where_it_was(service: Service) -> None:
    assert eventually(service.is_ok, 30)
    service.said.clear()
    for server in service.servers.values():
        server.stop()
    try:
        assert eventually(lambda: _all_say_degraded(service), 20)
        _check_public(service)
        services = service.get("/health/detailed?fresh=1", key=True).body["services"]
        assert {part["error"] for part in services.values()} == {"connection refused"}
    finally:
        for name in STARTS:
            service.restart(name)
    secrets = [HOST, "localhost", "hunter2", str(service.folder), str(ROOT), "Traceback"]
    secrets += [f":{server.port}" for server in service.servers.values()]
    assert not [word for word in secrets for text in service.said if word in text]
    assert eventually(service.is_ok, 30)
