"""The service while PostgreSQL, Redis or Qdrant is stopped or hangs: every answer is in time, and true."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, start, until
from config.demo.servers import start_postgres, start_qdrant, start_valkey
from tests.health.conftest import eventually

# Generous, because the machine may be busy. The service promises 1 s for /health and 2 s for other requests.
SOON = 3.0
IN_TIME = 5.0
REQUESTS = 64  # at once: more than both workers have threads for
STARTS: Mapping[str, Callable[..., Server]] = {
    "postgres": partial(start_postgres, durable=False),
    "redis": start_valkey,
    "qdrant": partial(start_qdrant, api_key="hunter2"),
}
SKIPPED = ("schema", "identities", "config")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Service:
    """The service as in production, with servers that a test can stop."""

    servers: dict[str, Server]
    folder: Path
    web: Server
    key: str
    said: list[str] = field(default_factory=list)

    def get(self, path: str, *, key: bool = False) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.web.port, timeout=30)
        begin = time.monotonic()
        connection.request("GET", path, headers={"X-API-Key": self.key} if key else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        self.said.append(text)
        # No answer is late, whether or not the outage is known already.
        assert time.monotonic() - begin < (IN_TIME if key else SOON), path
        return Answer(response.status, dict(response.getheaders()), json.loads(text))

    def ask(self, path: str) -> None:
        """Send a request without a limit on its duration."""
        connection = http.client.HTTPConnection(HOST, self.web.port, timeout=60)
        connection.request("GET", path, headers={"X-API-Key": self.key})
        connection.getresponse().read()
        connection.close()

    def is_ok(self) -> bool:
        return all(self.get("/health").body["status"] == "ok" for _ in range(40))  # of both workers

    def threads(self) -> int:
        return sum(process.num_threads() for process in self.web.tree())

    def restart(self, name: str) -> None:
        self.servers[name] = STARTS[name](self.folder / name, port=self.servers[name].port)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("platform")
    servers = {name: launch(folder / name) for name, launch in STARTS.items()}
    environment = {name: value for name, value in os.environ.items() if name != "QDRANT_COLLECTIONS"} | {
        "DATABASE_URL": servers["postgres"].url,
        "REDIS_URL": servers["redis"].url,
        "QDRANT_URL": servers["qdrant"].url,
        "QDRANT_API_KEY": "hunter2",
        "ALLOWED_HOSTS": HOST,
        "DEMO": "1",  # plain HTTP
    }

    def manage(*words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    manage("migrate", "--verbosity", "0")
    key = manage("create_api_key", "outages").strip()

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=serving.command(port),
            url=f"http://{HOST}:{port}",
            log=folder / "web.log",
            cwd=ROOT,
            answers=lambda: _answers(port),
            environment=environment,
            death_signal=signal.SIGTERM,
        )

    web = start(program, None)
    try:
        yield Service(servers, folder, web, key)
    finally:
        for server in (web, *servers.values()):
            server.stop()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("how", ["silent", "refused"])
@pytest.mark.parametrize("name", ["postgres", "redis", "qdrant"])
def test_with_one_server_away_all_is_answered_in_time_and_true(service: Service, name: str, how: str) -> None:
    assert eventually(service.is_ok, 30)
    threads = _threads_when_busy(service)
    _take_away(service.servers[name], how)
    try:
        service.get("/health/detailed", key=True)  # before anybody knows
        assert eventually(lambda: _all_say_degraded(service), 20)
        _check_public(service)
        _check_detailed(service, name)
        assert service.threads() <= threads + 4
    finally:
        if how == "silent":
            service.servers[name].resume()
        else:
            service.restart(name)
    assert eventually(service.is_ok, 30)
    detailed = service.get("/health/detailed?fresh=1", key=True)
    assert {part["status"] for part in detailed.body["services"].values()} == {"ok"}


def _threads_when_busy(service: Service) -> int:
    """Return the number of threads after both workers have started all request threads and all probe threads."""
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
