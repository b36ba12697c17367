"""The log of a real server in outages under several clients: one line per transition, few repeats, no traceback."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from config.demo.process import until
from tests.health.conftest import eventually
from tests.health.service import Service, serving_in

WORKERS = 2
CLIENTS = 3  # of each kind
LINE = re.compile(r"[\d-]+ [\d:,]+ (?:WARNING|ERROR|CRITICAL) (.*)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_in(tmp_path_factory.mktemp("logs")) as started:
        yield started


@contextmanager
def clients(service: Service) -> Iterator[Counter[int]]:
    """Send requests of every kind until the end of the block; count the statuses of answers."""
    end, statuses = threading.Event(), Counter[int]()

    def send(method: str, path: str, headers: dict[str, str]) -> None:
        with httpx.Client(base_url=service.web.url, timeout=30) as client:
            while not end.is_set():
                with suppress(httpx.TransportError):
                    body = {"username": "nobody", "password": "wrong"} if method == "POST" else None
                    statuses[client.request(method, path, headers=headers, json=body).status_code] += 1

    kinds = [
        ("GET", "/", {"Cookie": "sessionid=" + "a" * 32}),
        ("GET", "/admin/", {"Cookie": "sessionid=" + "a" * 32}),
        ("GET", "/health/detailed", {"X-API-Key": service.key}),
        ("GET", "/health/consistency", {"X-API-Key": service.key}),
        ("POST", "/api/v1/auth/login", {}),
    ]
    threads = [threading.Thread(target=send, args=kind) for kind in kinds * CLIENTS]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        end.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("how", ["silent", "refused"])
@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_an_outage_under_clients_is_a_few_lines_without_traceback(service: Service, name: str, how: str) -> None:
    assert eventually(service.is_ok, 60)
    log = service.folder / "web.log"
    begin = log.stat().st_size
    with clients(service) as statuses:
        server = service.servers[name]
        server.pause() if how == "silent" else server.stop()
        before = statuses.total()
        assert any(statuses.total() > before + 100 for _ in until(60))
        assert eventually(lambda: service.get("/health").body["status"] == "degraded", 30)
        server.resume() if how == "silent" else service.restart(name)
        assert eventually(service.is_ok, 60)
    assert 500 not in statuses
    written = log.read_bytes()[begin:].decode()
    assert "Traceback" not in written
    repeats = Counter(re.sub(r"\d+", "#", match[1]) for line in written.splitlines() if (match := LINE.fullmatch(line)))
    transitions = {line: count for line, count in repeats.items() if "health.runs.runner" in line}
    assert any(line.startswith(f"health.runs.runner: Probe {name} is error") for line in transitions)
    assert set((repeats - Counter(transitions)).values()) <= set(range(WORKERS + 1)), written
