"""One request to an ASGI application, with a client that may be slow, silent or gone."""

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from django.http import HttpResponse

from config.serving.front import Front

GENEROUS = 60.0

Message = dict[str, Any]
View = Callable[[dict[str, Any]], Any]


def scope_of(path: str, method: str = "POST", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Message:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "https",
        "headers": headers,
    }


class Client:
    """One request. `pieces` are sent and then silence, or the end of the body."""

    def __init__(self, *pieces: bytes, complete: bool = True, reads: bool = True) -> None:
        self.messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        self.messages += [{"type": "http.request", "body": b""}] if complete else []
        self.gone = asyncio.Event()
        self.reads = reads
        self.got: list[MutableMapping[str, Any]] = []

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if not self.reads and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        self.got.append(message)

    @property
    def status(self) -> int:
        status: int = self.got[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.got[1:])


def django(view: View) -> Any:
    """Return a WSGI application with this view."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        response = view(environ)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return response

    return application


def echo(environ: dict[str, Any]) -> HttpResponse:
    return HttpResponse(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(GENEROUS):
            await main

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def ask(application: Front, client: Client, path: str = "/admin/", **scope: Any) -> Client:
    await application(scope_of(path, **scope), client.receive, client.send)
    return client
