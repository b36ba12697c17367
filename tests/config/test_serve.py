"""`manage.py serve`: the port, the workers, and the end of the server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, free_port, start
from tests.health.conftest import eventually
from tests.processes import all_gone

# A name of the server's own that sleeps, so that a thread hangs in a call that nothing can interrupt.
HANGING = """
import socket, time, os
real = socket.getaddrinfo
def hanging(host, *rest, **options):
    if host == "hangs.invalid":
        open(os.environ["HUNG"], "a").write("x")
        time.sleep(600)
    return real(host, *rest, **options)
socket.getaddrinfo = hanging
"""


def serve(log: Path, **variables: str) -> Server:
    """Serve with the command of the demo and of the unit."""

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=serving.command(port),
            url=f"http://{HOST}:{port}",
            log=log,
            cwd=ROOT,
            answers=lambda: _is_ready(port),
            environment=os.environ | variables,
        )

    server = start(program, None)
    # Both workers, not only the worker that answered.
    assert eventually(lambda: log.read_text().count("Started worker-") == 2, 60)
    return server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = serve(tmp_path / "web.log", DEMO="1")  # plain HTTP
    yield server
    server.stop()


def _is_ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://{HOST}:{port}/health/ready", timeout=5) as answer:
        ready: bool = answer.status == 200
    return ready


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a death signal")
def test_workers_are_replaced_and_die_with_their_server(server: Server, tmp_path: Path) -> None:
    workers = server.tree()[1:]
    assert len(workers) == 2
    workers[0].kill()
    assert eventually(lambda: (tmp_path / "web.log").read_text().count("Started worker-") == 3, 60)
    assert all_gone(workers[:1])
    workers = server.tree()[1:]  # with a new worker
    assert eventually(lambda: _is_ready(server.port), 20)
    server.process.kill()
    assert all_gone(workers)


def test_a_server_stops_with_all_its_threads(server: Server) -> None:
    workers = server.tree()[1:]
    server.process.terminate()
    assert server.process.wait(30) == 0
    assert all_gone(workers)


def test_both_workers_tell_the_same_uptime(server: Server) -> None:
    told = []
    for _ in range(20):
        with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
            told.append((time.monotonic(), json.load(answer)["uptime_ms"]))
    starts = [seconds - uptime / 1000 for seconds, uptime in told]
    assert max(starts) - min(starts) < 1.0
    assert 0 < told[0][1] < 60_000


def test_the_first_requests_for_the_openapi_document_get_the_document(server: Server) -> None:
    def status(_: int) -> int:
        with urllib.request.urlopen(f"{server.url}/api/schema", timeout=60) as answer:
            return int(answer.status)

    with ThreadPoolExecutor(32) as clients:
        assert set(clients.map(status, range(32))) == {200}


def test_a_port_with_a_server_is_refused(server: Server) -> None:
    command = serving.command(server.port)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert (
        ended.stderr == f"CommandError: Port {server.port} on {HOST} cannot be used (Address already in use). Choose"
        " another with --host or --port.\n"
    )


def test_two_servers_that_start_at_the_same_moment_do_not_share_a_port(tmp_path: Path) -> None:
    """granian binds the port later than the second command looks."""
    port = free_port()
    started = [subprocess.Popen(serving.command(port), cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    try:
        assert eventually(lambda: any(each.poll() == 2 for each in started), 60)
        assert [each.poll() for each in started].count(None) == 1
    finally:
        for each in started:
            each.terminate()
            each.communicate()


def test_slow_clients_do_not_silence_health(server: Server) -> None:
    """More clients than threads: each sends the head of a request and never the body."""
    head = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    slow = [socket.create_connection((HOST, server.port), timeout=30) for _ in range(40)]
    try:
        for each in slow:
            each.sendall(head)
        for _ in range(20):
            with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
                assert answer.status == 200
        assert slow[0].recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        for each in slow:
            each.close()


def test_sigterm_ends_a_server_with_a_thread_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    hung = tmp_path / "hung"
    server = serve(
        tmp_path / "web.log",
        PYTHONPATH=str(tmp_path),
        HUNG=str(hung),
        DATABASE_URL="postgres://somebody@hangs.invalid/platform",
    )
    try:
        with socket.create_connection((HOST, server.port), timeout=30) as request:
            request.sendall(b"GET /admin/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid=abc\r\n\r\n")
            assert eventually(hung.exists, 30)
            workers = server.tree()[1:]
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)
        assert all_gone(workers)
    finally:
        server.stop()
