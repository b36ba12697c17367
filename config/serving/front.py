"""An ASGI front for Django's WSGI handler: slow clients and waiting requests hold no thread.

Django's own ASGI handler runs synchronous views one at a time. a2wsgi holds a thread per reading client, and runs a
stream to its end for a client that has gone.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from django.conf import settings
from django.db import close_old_connections

from common.postgres.deadline import deadline
from config.serving.entry import Reply, health_reply, json_reply, request_timeout
from health.api.public import HEADERS, Answer
from health.lateness import lateness
from health.snapshot import TICK

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

BODY_TIMEOUT: Final = 10.0
BODY_LIMIT: Final = 2_621_440
"""Bytes of one request: Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""
TOO_LARGE: Final = "The body is larger than 2.5 MB."
BODIES_LIMIT: Final = 64_000_000
"""Bytes of all requests whose bodies are being received."""
READ_TIMEOUT: Final = 10.0
"""Seconds that a client may take to read a piece of a stream."""
STREAM_THREADS: Final = 4
MOST_WAITING: Final = 100
"""Requests that wait for a thread. The 3 seconds of most requests are over before a thread serves so many."""
SWITCH_INTERVAL: Final = 0.001
"""Seconds that a thread may hold the GIL while the event loop waits; 5 ms by default, for each of 16 threads."""
FILE_PIECE: Final = 262_144  # bytes; Django's 4,096 would need hundreds of hops between threads

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")


class RefusedError(Exception):
    """The front answers the request, and Django does not see it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.reply = json_reply(Answer({"detail": detail}, status, HEADERS | (headers or {})))


class DisconnectedError(Exception):
    """The client has gone."""


class Front:
    """The ASGI application. It answers health addresses on the event loop, and all other requests in threads."""

    def __init__(self, django: "WSGIApplication") -> None:
        self._django = django
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._threads = ThreadPoolExecutor(settings.REQUEST_THREADS, "request")
        self._free_threads = asyncio.Semaphore(settings.REQUEST_THREADS)
        self._stream_threads = ThreadPoolExecutor(STREAM_THREADS, "stream")
        self._close_threads = ThreadPoolExecutor(1, "close")
        self._waiting = 0
        self._received = 0  # bytes of bodies that are not complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI 3 defines."""
        if scope["type"] == "lifespan":
            ticker = asyncio.create_task(_observe_lateness())
            await _follow_lifespan(receive, send)
            ticker.cancel()
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except RefusedError as refused:
                await _send(refused.reply, send)
            except DisconnectedError:
                pass

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        path = environ["PATH_INFO"]
        if reply := health_reply(path, environ["REQUEST_METHOD"], environ["QUERY_STRING"]):
            await _send(reply, send)
            return
        body = await self._body(receive, environ.get("CONTENT_LENGTH", ""))
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        response = await self._ask_django(environ, request_timeout(path))
        if isinstance(response, Reply):
            await _send(response, send)
        else:
            await self._stream(response, receive, send)

    # --- The request -------------------------------------------------------------------------------------
    async def _body(self, receive: Receive, announced: str) -> bytes:
        """Return the body of the request. A slow client holds memory, but no thread."""
        if announced.isdecimal() and int(announced) > BODY_LIMIT:
            raise RefusedError(413, TOO_LARGE)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise DisconnectedError
                    part = message.get("body", b"")
                    self._received += len(part)
                    body += part
                    if len(body) > BODY_LIMIT:
                        raise RefusedError(413, TOO_LARGE)
                    if self._received > BODIES_LIMIT:
                        raise _busy()
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise RefusedError(408, f"The body did not arrive within {BODY_TIMEOUT:.0f} seconds.") from None
        finally:
            self._received -= len(body)

    async def _ask_django(self, environ: "WSGIEnvironment", seconds: float) -> "Reply | Stream":
        """Return Django's response. Raise RefusedError if no thread is free for so many seconds."""
        complete = monotonic()
        if self._waiting >= MOST_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._free_threads.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        try:
            return await _run(self._threads, partial(self._respond, environ, seconds, complete))
        finally:
            self._free_threads.release()

    def _respond(self, environ: "WSGIEnvironment", seconds: float, complete: float) -> "Reply | Stream":
        """Call Django in a thread. The deadline counts from the instant at which the request was complete."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, headers))

        with deadline(seconds, since=complete):
            chunks = self._django(environ, start_response)
        [(status, headers)] = started
        if getattr(chunks, "streaming", True) and not isinstance(chunks, FileWrapper):
            close_old_connections()  # Django does so at the end of the stream, in another thread
            return Stream(status, headers, chunks)
        try:
            return Reply(status, headers, b"".join(chunks))
        finally:
            chunks.close()  # type: ignore[attr-defined]

    # --- The response ------------------------------------------------------------------------------------
    async def _stream(self, stream: "Stream", receive: Receive, send: Send) -> None:
        """Send a stream piece by piece. A client that goes or does not read ends the stream."""
        gone = asyncio.ensure_future(receive())  # the next message after the body is http.disconnect
        piece = asyncio.ensure_future(_run(self._stream_threads, stream.next))
        try:
            await send(_head(stream.status, stream.headers))
            while True:
                await asyncio.wait((piece, gone), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    await _run(self._close_threads, stream.close)  # ends the query that the piece waits for
                    return
                if not (part := await piece):
                    break
                piece = asyncio.ensure_future(_run(self._stream_threads, stream.next))
                async with asyncio.timeout(READ_TIMEOUT):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            log.warning("A stream was ended, because the client read nothing for %.0f s.", READ_TIMEOUT)
        finally:
            gone.cancel()
            await asyncio.gather(piece, return_exceptions=True)
            await _run(self._close_threads, stream.close)


class Stream:
    """A response that is sent while Django makes it."""

    def __init__(self, status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes]) -> None:
        self.status, self.headers = status, headers
        self._chunks = chunks
        self._iterator: Iterator[bytes] = iter(chunks)

    def next(self) -> bytes:
        """Return the next piece; empty at the end."""
        return next(filter(None, self._iterator), b"")

    def close(self) -> None:
        """End the response, also while another thread waits for the next piece. Django ends a response once."""
        if close := getattr(self._chunks, "close", None):
            close()


def environ_of(scope: Scope) -> "WSGIEnvironment":
    """Return the WSGI environment of a request without its body (PEP 3333)."""
    query: bytes | str = scope["query_string"]  # bytes, but granian sends a text
    server, port = scope.get("server") or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope.get("raw_path") or scope["path"]).decode("latin-1"),
        "QUERY_STRING": query if isinstance(query, str) else query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": lambda file, _: FileWrapper(file, FILE_PIECE),
    }
    for name, value in scope["headers"]:
        # X_Forwarded_For and X-Forwarded-For would be the same variable, and no proxy removes the first.
        if b"_" not in name:
            key = name.decode("latin-1").upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            text, separator = value.decode("latin-1"), "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    return environ


async def _run(threads: Executor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, call)


async def _observe_lateness() -> None:
    while True:
        due = monotonic() + TICK
        await asyncio.sleep(TICK)
        lateness.observe(monotonic() - due)


async def _follow_lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})


async def _send(reply: Reply, send: Send) -> None:
    await send(_head(reply.status, reply.headers))
    await send({"type": "http.response.body", "body": reply.body})


def _head(status: str, headers: Iterable[tuple[str, str]]) -> MutableMapping[str, Any]:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}


def _busy() -> RefusedError:
    return RefusedError(503, "Too many requests wait. Try again in a few seconds.", {"Retry-After": "2"})
