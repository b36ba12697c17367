"""Measure the service: threads, files, memory, and sessions in PostgreSQL."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psutil
import psycopg

from tests.faults.platform import OWN_SESSIONS, Platform


def usage(platform: Platform) -> dict[str, int]:
    """Return threads, open files and memory of the service."""
    total = Counter(threads=0, files=0, MB=0)
    for process in platform.web.tree():
        with suppress(psutil.NoSuchProcess):
            total["threads"] += process.num_threads()
            total["files"] += process.num_fds()
            total["MB"] += process.memory_info().rss // 1_000_000
    return dict(total)


SESSIONS: Final = f"SELECT count(*) FROM {OWN_SESSIONS}"
TRANSACTIONS: Final = f"{SESSIONS} AND xact_start < now() - interval '1 second'"


def count(platform: Platform, query: str) -> int:
    """Return the number that a query of the superuser returns."""
    with platform.superuser() as connection:
        row: Any = connection.execute(query).fetchone()
    return int(row[0])


@contextmanager
def backends(platform: Platform) -> Iterator[dict[str, int]]:
    """Yield the highest number of sessions of the service, and how often another client got no session."""
    highest = {"own": 0, "refused": 0}
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.25):
            with suppress(psycopg.Error):
                highest["own"] = max(highest["own"], count(platform, SESSIONS))
            try:
                platform.other_client().close()
            except psycopg.OperationalError as error:
                highest["refused"] += "too many" in str(error) or "slots" in str(error)

    thread = threading.Thread(target=sample, name="backends", daemon=True)
    thread.start()
    try:
        yield highest
    finally:
        stop.set()
        thread.join(10)
