"""Measure the cost of the deadline: SELECT 1 through Django's engine and through ours, interleaved, on a new server.

Run from the project's folder: python -m benchmarks.deadline_engine
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import dj_database_url
import django
from django.conf import settings
from django.db.utils import ConnectionHandler

from common.postgres.deadline import deadline
from config.demo.servers import start_postgres

ROUNDS, QUERIES = 100, 300


def seconds_per_query(ask: Callable[[], None]) -> float:
    """Return the seconds per query of a round, without connecting."""
    ask()
    started = perf_counter()
    for _ in range(QUERIES):
        ask()
    return (perf_counter() - started) / QUERIES


def measure(url: str) -> dict[str, float]:
    """Return the seconds per query of Django's engine, of ours, and of ours with a deadline per query.

    Medians of rounds that run the variants in turn on new connections. Drift of the machine and the core of a backend
    matter more than the engine.
    """
    engines = {"default": "django.db.backends.postgresql", "ours": "common.postgres"}
    handler = ConnectionHandler({alias: dj_database_url.parse(url, engine=name) for alias, name in engines.items()})

    def ask(alias: str) -> None:
        with handler[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()

    def bounded() -> None:
        with deadline(10):
            ask("ours")

    seconds: dict[str, list[float]] = {"plain": [], "ours": [], "bounded": []}
    for _ in range(ROUNDS):
        for name, once in {"plain": lambda: ask("default"), "ours": lambda: ask("ours"), "bounded": bounded}.items():
            seconds[name].append(seconds_per_query(once))
            handler.close_all()
    return {name: median(each) for name, each in seconds.items()}


def main() -> None:
    """Print a line with the ratios and the plain time."""
    settings.configure(USE_TZ=True)
    django.setup()
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        server = start_postgres(Path(folder), durable=False)
        stopping.callback(server.stop)
        seconds = measure(server.url)
    plain, ours, bounded = seconds["plain"], seconds["ours"], seconds["bounded"]
    sys.stdout.write(
        f"SELECT 1: {plain * 1e6:.0f} us with Django's engine; ours x{ours / plain:.3f}, "
        f"with a deadline for each x{bounded / plain:.3f}\n"
    )


if __name__ == "__main__":
    main()
