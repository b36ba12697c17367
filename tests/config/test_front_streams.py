"""The ASGI front: streams, and the environment of WSGI."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from config.serving import front
from config.serving.front import Front, environ_of
from tests.config.asgi import GENEROUS, Client, ask, django, run, scope_of, until


# --- Streams ---------------------------------------------------------------------------------------------
class Endless:
    """A stream that ends when it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.threads: set[str] = set()

    def __iter__(self) -> Iterator[bytes]:
        while not self.closed.is_set():
            self.threads.add(threading.current_thread().name)
            yield b"piece"

    def close(self) -> None:
        self.closed.set()


def streaming(endless: Any) -> Front:
    return Front(django(lambda environ: StreamingHttpResponse(endless)))


def test_a_stream_is_sent_in_order_to_its_end() -> None:
    async def main() -> None:
        client = await ask(streaming(iter([b"a", b"", b"b"])), Client())
        assert (client.status, client.body) == (200, b"ab")
        assert "more_body" not in client.got[-1]

    run(main())


def test_a_client_that_goes_ends_its_stream() -> None:
    endless = Endless()

    async def main() -> None:
        client = Client()
        task = asyncio.ensure_future(ask(streaming(endless), client))
        await until(lambda: len(client.got) > 3)
        client.gone.set()
        await task

    run(main())
    assert endless.closed.is_set()


def test_a_client_that_goes_ends_a_stream_that_makes_no_piece() -> None:
    class Stuck(Endless):
        def __iter__(self) -> Iterator[bytes]:
            yield b"first"
            assert self.closed.wait(GENEROUS)

    stuck = Stuck()

    async def main() -> None:
        client = Client()
        task = asyncio.ensure_future(ask(streaming(stuck), client))
        await until(lambda: len(client.got) == 2)
        client.gone.set()
        await task

    run(main())
    assert stuck.closed.is_set()


def test_clients_that_read_nothing_hold_no_thread_and_lose_their_streams(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(front, "READ_TIMEOUT", 1.0)
    stalled = [Endless() for _ in range(front.STREAM_THREADS + 1)]
    streams: list[Any] = [*stalled, [b"a"]]

    async def main() -> None:
        application = Front(django(lambda environ: StreamingHttpResponse(streams.pop(0))))
        tasks = []
        for _ in stalled:
            tasks.append(asyncio.ensure_future(ask(application, Client(reads=False))))
            await until(lambda: stalled[len(tasks) - 1].threads)
        assert (await ask(application, Client())).body == b"a"
        assert not any(endless.closed.is_set() for endless in stalled)
        await asyncio.gather(*tasks)

    run(main())
    assert all(endless.closed.is_set() for endless in stalled)
    assert "read nothing" in caplog.text


# --- The environment of WSGI -----------------------------------------------------------------------------
def test_a_header_name_with_an_underscore_is_ignored() -> None:
    headers = ((b"x_forwarded_for", b"6.6.6.6"), (b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2"))
    environ = environ_of(scope_of("/", headers=headers))
    assert environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"


def test_cookies_in_several_lines_stay_several_cookies() -> None:
    assert environ_of(scope_of("/", headers=((b"cookie", b"a=1"), (b"cookie", b"b=2"))))["HTTP_COOKIE"] == "a=1; b=2"


def test_the_path_keeps_its_bytes() -> None:
    assert environ_of(scope_of("/a%2Fb/%ff%00/%C3%A9"))["PATH_INFO"] == "/a/b/\xff\x00/\xc3\xa9"
