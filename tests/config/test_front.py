"""The ASGI front, with a Django of a few lines: bodies, threads and deadlines."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from common.postgres.deadline import remaining
from config.serving import front
from config.serving.front import Front
from health.lateness import lateness
from health.snapshot import snapshot
from tests.config.asgi import GENEROUS, Client, ask, django, echo, run, until


# --- The body --------------------------------------------------------------------------------------------
def test_django_gets_the_whole_body_with_its_length() -> None:
    async def main() -> None:
        client = await ask(Front(django(echo)), Client(b"a", b"bc"))
        assert (client.status, client.body) == (200, b"abc")

    run(main())


def test_a_client_that_sends_its_body_slowly_gets_408_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_TIMEOUT", 0.2)
    called: list[object] = []

    async def main() -> None:
        client = await ask(Front(called.append), Client(b"a", complete=False))  # type: ignore[arg-type]
        assert (client.status, called) == (408, [])
        assert json.loads(client.body)["detail"].startswith("The body did not arrive")

    run(main())


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_gets_413(announced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_LIMIT", 3)
    headers = ((b"content-length", b"4"),) if announced else ()

    async def main() -> None:
        application = Front(django(echo))
        assert (await ask(application, Client(b"abcd", complete=False), headers=headers)).status == 413
        assert (await ask(application, Client(b"abc"))).body == b"abc"

    run(main())


def test_bodies_of_all_clients_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODIES_LIMIT", 5)

    async def main() -> None:
        application = Front(django(echo))
        slow = Client(b"abc", complete=False)
        task = asyncio.ensure_future(ask(application, slow))
        await until(lambda: not slow.messages)
        client = await ask(application, Client(b"def"))
        assert (client.status, client.headers[b"retry-after"]) == (503, b"2")
        slow.gone.set()
        await task
        assert slow.got == []
        assert (await ask(application, Client(b"def"))).body == b"def"

    run(main())


# --- Threads ---------------------------------------------------------------------------------------------
class Busy:
    """Requests that hold every thread until `release`."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.running = 0
        self.application = Front(django(self.view))

    def view(self, environ: dict[str, Any]) -> HttpResponse:
        self.running += 1
        assert self.release.wait(GENEROUS)
        return HttpResponse()

    def start(self, requests: int) -> list[asyncio.Future[Client]]:
        path = "/api/v1/consistency/scans"  # with the longest deadline
        return [asyncio.ensure_future(ask(self.application, Client(), path)) for _ in range(requests)]


@pytest.fixture
def busy(settings: Any) -> Iterator[Busy]:
    settings.REQUEST_THREADS = 2
    busy = Busy()
    yield busy
    busy.release.set()


def test_health_is_answered_while_every_thread_is_held(busy: Busy) -> None:
    async def main() -> None:
        tasks = busy.start(3)
        await until(lambda: busy.running == 2)
        for path in ("/health", "/health/live", "/health/ready"):
            client = await ask(busy.application, Client(complete=False), path, method="GET")
            assert client.status in (200, 503)
            assert client.headers[b"content-type"] == b"application/json"
        busy.release.set()
        assert [client.status for client in await asyncio.gather(*tasks)] == [200, 200, 200]

    run(main())


def test_a_request_waits_for_a_thread_until_its_deadline_and_no_longer(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.serving.entry.DEFAULT_TIMEOUT", 0.2)

    async def main() -> None:
        tasks = busy.start(2)
        await until(lambda: busy.running == 2)
        client = await ask(busy.application, Client())
        assert (client.status, client.headers[b"retry-after"]) == (503, b"2")
        assert json.loads(client.body)["detail"].startswith("Too many requests wait.")
        busy.release.set()
        await asyncio.gather(*tasks)
        assert busy.running == 2

    run(main())


def test_the_requests_that_wait_are_bounded(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "MOST_WAITING", 1)

    async def main() -> None:
        tasks = busy.start(3)
        await until(lambda: busy.running == 2)
        assert (await ask(busy.application, Client())).status == 503
        busy.release.set()
        assert {client.status for client in await asyncio.gather(*tasks)} == {200}

    run(main())


def test_the_time_in_the_queue_counts_for_the_deadline(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.REQUEST_THREADS = 1
    left: list[float] = []
    first = threading.Event()

    def view(environ: dict[str, Any]) -> HttpResponse:
        left.append(remaining() or 0.0)
        assert first.wait(GENEROUS)
        return HttpResponse()

    async def main() -> None:
        application = Front(django(view))
        tasks = [asyncio.ensure_future(ask(application, Client(), "/health/consistency")) for _ in range(2)]
        await until(lambda: left)
        await asyncio.sleep(0.5)
        first.set()
        await asyncio.gather(*tasks)

    run(main())
    assert left[1] <= left[0] - 0.4


def test_the_deadline_is_short_while_postgres_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "known_down", lambda name: True)
    left: list[float] = []

    def view(environ: dict[str, Any]) -> HttpResponse:
        left.append(remaining() or 0.0)
        return HttpResponse()

    async def main() -> None:
        await ask(Front(django(view)), Client(), "/health/consistency")

    run(main())
    assert left[0] <= 0.1


def test_the_lateness_of_the_event_loop_is_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    observed: list[float] = []
    monkeypatch.setattr(lateness, "observe", observed.append)

    async def main() -> None:
        client = Client(complete=False)
        client.messages = [{"type": "lifespan.startup"}]
        task = asyncio.ensure_future(Front(django(echo))({"type": "lifespan"}, client.receive, client.send))
        await until(lambda: client.got)
        time.sleep(0.6)  # the loop hangs
        await until(lambda: observed)
        client.gone.set()
        await task

    run(main())
    assert max(observed) > 0.1
