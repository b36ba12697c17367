"""Measure /health behind the ASGI front and behind the WSGI entry, side by side, under loads that hold threads.

Run from the project's folder: python -m benchmarks.front

Both servers have two workers with 16 threads, and use the servers of one demo.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit

from config.demo.process import HOST, ROOT, Program, Server, start
from config.demo.servers import get_status
from tests.config.demos import Served, serve

ROUNDS, REQUESTS, SECONDS, TIMEOUT = 3, 40, 4.0, 10.0
WSGI = ["--interface", "wsgi", "--workers", "2", "--blocking-threads", "16", "config.wsgi:application"]
SIGN_IN = json.dumps({"username": "nobody", "password": "wrong"}).encode()


async def request(port: int, path: str, key: str, body: bytes = b"") -> int:
    """Send a request on a new connection. Return the status, 0 without an answer within TIMEOUT."""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: {HOST}\r\nX-API-Key: {key}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with suppress(OSError, TimeoutError, IndexError):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(head.encode() + body)
            answer = await reader.read()
            writer.close()
            return int(answer.split()[1])
    return 0


async def repeat(act: Callable[[], Awaitable[object]]) -> int:
    """Act until SECONDS are over. Return the number of acts."""
    number, until = 0, perf_counter() + SECONDS
    while perf_counter() < until:
        await act()
        number += 1
    return number


async def throughput(port: int, path: str, key: str, clients: int) -> float:
    """Return requests per second, on a connection per request."""
    return sum(await asyncio.gather(*(repeat(lambda: request(port, path, key)) for _ in range(clients)))) / SECONDS


async def slowest(port: int, load: Callable[[], Awaitable[object]], clients: int) -> float:
    """Return the milliseconds of the slowest of REQUESTS to /health while clients repeat the load."""
    others = [asyncio.create_task(repeat(load)) for _ in range(clients)]
    await asyncio.sleep(0.5)
    taken = []
    for _ in range(REQUESTS):
        began = perf_counter()
        await request(port, "/health", "")
        taken.append((perf_counter() - began) * 1000)
        await asyncio.sleep(0.05)
    await asyncio.gather(*others)
    return max(taken)


async def drip(port: int) -> None:
    """Send the head of a request, then one byte of the body each second."""
    _, writer = await asyncio.open_connection(HOST, port)
    head = f"POST /api/v1/auth/token HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 999\r\n\r\n".encode())
    with suppress(OSError):
        for _ in range(5):
            writer.write(b" ")
            await asyncio.sleep(1)
    writer.close()


@contextmanager
def wsgi_server(demo: Served) -> Iterator[Server]:
    """Serve the WSGI entry with the environment of the demo."""
    variables = os.environ | {"DEMO_FILE": str(demo.folder / "demo.json")}

    def program(port: int) -> Program:
        return Program(
            name="granian",
            command=[sys.executable, "-m", "granian", "--host", HOST, "--port", str(port), *WSGI],
            url="",
            log=demo.folder / "wsgi.log",
            cwd=ROOT,
            answers=lambda: get_status(port, "/health/ready") == 200,
            environment=variables,
        )

    server = start(program, None)
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Print a line per figure, with both values and the ratio."""
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        demo = serve(Path(folder), "--files", "20000")
        stopping.callback(demo.process.wait)
        stopping.callback(demo.process.terminate)
        ports = {"front": urlsplit(demo.address).port or 0, "wsgi": stopping.enter_context(wsgi_server(demo)).port}
        key = demo.key
        figures: dict[str, Callable[[int], Awaitable[float]]] = {
            "/health, requests/s, 16 clients": lambda port: throughput(port, "/health", "", 16),
            "/api/v1/consistency/scans, requests/s, 4 clients": lambda port: throughput(
                port, "/api/v1/consistency/scans?limit=1", key, 4
            ),
            "slowest /health in ms, 64 clients scan": lambda port: slowest(
                port, lambda: request(port, "/health/consistency", key), 64
            ),
            "slowest /health in ms, 60 wrong sign-ins at once": lambda port: slowest(
                port, lambda: request(port, "/api/v1/auth/token", "", SIGN_IN), 60
            ),
            "slowest /health in ms, 40 clients drip (10,000: no answer)": lambda port: slowest(
                port, lambda: drip(port), 40
            ),
        }
        for name, figure in figures.items():
            values: dict[str, list[float]] = {entry: [] for entry in ports}
            for _ in range(ROUNDS):
                for entry, port in ports.items():
                    values[entry].append(asyncio.run(figure(port)))
            front, wsgi = (median(values[entry]) for entry in ("front", "wsgi"))
            sys.stdout.write(f"{name}: front {front:.0f}, wsgi {wsgi:.0f} (x{front / wsgi:.2f})\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
