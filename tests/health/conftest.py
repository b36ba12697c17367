"""Registries and snapshots for one test, and servers that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypedDict

import pytest

from config.demo.process import until
from health.lateness import lateness
from health.registry import Probe
from health.snapshot import Snapshot

Registry = dict[str, Probe]
Make = Callable[..., Snapshot]
PATIENT = 30.0


class Values(TypedDict):
    answer: int


class Gate:
    """Blocks a probe until the test sets `open`; counts the visits."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.visits = 0

    def wait(self) -> None:
        self.visits += 1
        self.open.wait(PATIENT)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def threads_of(name: str) -> int:
    return sum(thread.name == f"probe {name}" for thread in threading.enumerate())


@pytest.fixture
def registry() -> Registry:
    """Return an empty registry for `@probe(..., registry=registry)`."""
    return {}


@pytest.fixture
def snapshot_of() -> Iterator[Callable[..., Snapshot]]:
    """Return a factory of snapshots, which are closed after the test."""
    made: list[Snapshot] = []

    def make(registry: Registry, **options: Any) -> Snapshot:
        made.append(Snapshot(registry, **options))
        return made[-1]

    yield make
    for snapshot in made:
        snapshot.close()


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    """Return whether the condition becomes true within so many seconds."""
    return any(holds() for _ in until(seconds))


def delay(seconds: float) -> None:
    """Let the process be late for so long."""
    time.sleep(seconds)
    lateness.observe(seconds)


@pytest.fixture
def dripping_server() -> Iterator[str]:
    """Yield the address of a server that sends one byte per 0.2 s, so that no read times out."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        accepting = threading.Thread(target=_accept, args=(listener, stop))
        accepting.start()
        yield "{}:{}".format(*listener.getsockname())
        stop.set()
        accepting.join()


def _accept(listener: socket.socket, stop: threading.Event) -> None:
    dripping = []
    while not stop.is_set():
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            dripping.append(threading.Thread(target=_drip, args=(connection, stop)))
            dripping[-1].start()
    for thread in dripping:
        thread.join()


def _drip(connection: socket.socket, stop: threading.Event) -> None:
    with connection, suppress(OSError):
        while not stop.wait(0.2):
            connection.sendall(b"H")
