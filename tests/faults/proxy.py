"""A TCP proxy whose fault can be switched while connections are open."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from config.demo.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

Writer = asyncio.StreamWriter
T = TypeVar("T")

SLOW: Final = 3.0
DRIP: Final = 0.3
GARBAGE: Final = b"\x15\x03\x01 this is another protocol \xff\xfe\r\n" * 8


@dataclass(frozen=True)
class Fault:
    """A fault of a network or of a server, seen from the client."""

    listener: str = "open"
    """`open`, `refused`, or `deaf`: connections stay in the queue of the kernel."""
    reply: Callable[[bytes], bytes] | None = None
    """Answers instead of the server. No bytes: the client gets no answer."""
    closes: bool = False
    """Whether the connection ends after a reply."""
    relay: Callable[[Writer, bytes], Awaitable[None]] | None = None
    """Sends the server's bytes to the client in another way."""


class Proxy:
    """Forward a port of loopback to another. The event loop runs in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.fault: Fault | None = None
        self._target = target
        self._writers: set[Writer] = set()
        self._fillers: list[socket.socket] = []
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = 0
        self._run(self._listen())

    @contextmanager
    def failing(self, fault: Fault) -> "Iterator[None]":
        """Show the fault to open connections and to new connections. Afterwards, open connections are reset."""
        self._run(self._switch(fault))
        try:
            yield
        finally:
            self._run(self._switch(None))

    def close(self) -> None:
        """End the listener, the connections and the thread."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _switch(self, fault: Fault | None) -> None:
        self.fault = fault
        if fault is None or fault.listener != "open":
            await self._close_listener()
            await self._reset_all()
        if fault is None or fault.listener == "open":
            await self._listen()
        elif fault.listener == "deaf":
            self._fill_queue()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port, backlog=256)
            self.port = self._listener.sockets[0].getsockname()[1]

    def _fill_queue(self) -> None:
        deaf = socket.create_server((HOST, self.port), backlog=0)
        self._fillers = [deaf, *(socket.socket() for _ in range(4))]
        for client in self._fillers[1:]:
            client.setblocking(False)
            client.connect_ex((HOST, self.port))

    async def _close_listener(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        for each in self._fillers:
            each.close()
        self._fillers = []

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            await reset(writer)

    async def _end(self) -> None:
        await self._close_listener()
        await self._reset_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self._writers.add(writer)
        upstream: Writer | None = None
        try:
            answers, upstream = await asyncio.open_connection(HOST, self._target)
            pumps = {
                asyncio.ensure_future(self._requests(reader, writer, upstream)),
                asyncio.ensure_future(self._answers(answers, writer)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            await reset(writer)
        finally:
            self._writers.discard(writer)
            for end in filter(None, (writer, upstream)):
                end.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: Writer, upstream: Writer) -> None:
        while data := await reader.read(65536):
            fault = self.fault
            if fault is None or fault.reply is None:
                upstream.write(data)
                await upstream.drain()
                continue
            if answer := fault.reply(data):
                writer.write(answer)
                await writer.drain()
                if fault.closes and answer != NO_TLS:
                    return

    async def _answers(self, answers: asyncio.StreamReader, writer: Writer) -> None:
        while data := await answers.read(65536):
            relay = self.fault.relay if self.fault else None
            if relay:
                await relay(writer, data)
            else:
                writer.write(data)
            await writer.drain()
            if writer.is_closing():
                return


# --- Faults of the network -------------------------------------------------------------------------------
async def reset(writer: Writer, data: bytes = b"") -> None:
    """End the connection with RST."""
    with suppress(OSError):
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _slow(writer: Writer, data: bytes) -> None:
    await asyncio.sleep(SLOW)
    writer.write(data)


async def _drip(writer: Writer, data: bytes) -> None:
    for position in range(len(data)):
        writer.write(data[position : position + 1])
        await asyncio.sleep(DRIP)


async def _half_then_silence(writer: Writer, data: bytes) -> None:
    writer.write(data[: len(data) // 2])
    await asyncio.Event().wait()


async def _half_then_close(writer: Writer, data: bytes) -> None:
    writer.write(data[: len(data) // 2])
    await writer.drain()
    writer.close()


async def _garbage(writer: Writer, data: bytes) -> None:
    writer.write(GARBAGE)


REFUSED: Final = Fault(listener="refused")
DEAF: Final = Fault(listener="deaf")
BLACK_HOLE: Final = Fault(reply=lambda data: b"")
ANSWERS_LATE: Final = Fault(relay=_slow)
DRIPS: Final = Fault(relay=_drip)
HALF_THEN_SILENCE: Final = Fault(relay=_half_then_silence)
HALF_THEN_CLOSE: Final = Fault(relay=_half_then_close)
ANSWERS_GARBAGE: Final = Fault(relay=_garbage)
RESETS: Final = Fault(relay=reset)

# --- Answers in the protocol of a server -----------------------------------------------------------------
NO_TLS: Final = b"N"
TLS_REQUESTS: Final = (struct.pack("!ii", 8, 80877103), struct.pack("!ii", 8, 80877104))


def postgres_error(code: str, message: str) -> Fault:
    """Return a fault that answers every message of a client with a fatal error of PostgreSQL."""
    fields = (
        b"".join(f"{name}{text}\0".encode() for name, text in (("S", "FATAL"), ("C", code), ("M", message))) + b"\0"
    )
    error = b"E" + struct.pack("!i", len(fields) + 4) + fields
    return Fault(reply=lambda data: NO_TLS if data in TLS_REQUESTS else error, closes=True)


def redis_error(line: str) -> Fault:
    """Return a fault that answers every command except AUTH with an error of Valkey."""

    def reply(data: bytes) -> bytes:
        commands = [part for part in data.split(b"\r\n") if part.isalpha() and part.isupper()]
        starts = data.count(b"\r\n*") + data.startswith(b"*")
        return b"+OK\r\n" if b"AUTH" in commands and starts == 1 else f"-{line}\r\n".encode() * starts

    return Fault(reply=reply)


def http_error(status: int, reason: str, body: str = '{"status":{"error":"refused"}}') -> Fault:
    """Return a fault that answers every request with this status."""
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return Fault(reply=lambda data: f"{head}Connection: close\r\n\r\n{body}".encode(), closes=True)
