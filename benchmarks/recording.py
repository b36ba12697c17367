"""What recording costs: 50,000 findings into a million anomalies, against one bare INSERT of the same rows.

Run from the project's folder: python -m benchmarks.recording [PYTHON], where PYTHON, that of a virtual environment with
django-datawatch and psycopg, has its own way measured beside it, on the same server.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit

import django
from django.core.management import call_command
from django.db import connection

from config.demo.servers import start_postgres

STORED, FOUND, ROUNDS = 1_000_000, 50_000, 5

STORED_ROWS = """
INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid, file_name,
    status, state, first_seen, last_seen, last_scan, times_seen, returned_count)
SELECT 'default', 'orphaned_processing', 'file', md5(n::text), 2, 'job 1 is failed', md5(n::text), n || '.mp4',
    'processing', 'ongoing', now() - n * interval '1 second', now(), 0, 1, 0
FROM generate_series(1, %s) n"""
FILES = """
INSERT INTO files (file_uuid, file_name, status)
SELECT md5('file' || n), n || '.mp4', 'processing' FROM generate_series(1, %s) n"""
BARE = """
INSERT INTO consistency_anomaly AS a (database, check_name, object_type, object_id, severity, detail, file_uuid,
    file_name, status, state, first_seen, last_seen, last_scan, times_seen, returned_count)
SELECT 'default', 'stale_processing', 'file', file_uuid, 2, 'job_id is null', file_uuid, file_name, status, 'new',
    now(), now(), 1, 1, 0
FROM files
ON CONFLICT (database, check_name, object_type, object_id) DO UPDATE SET
    state = 'ongoing', last_seen = excluded.last_seen, last_scan = excluded.last_scan, times_seen = a.times_seen + 1"""
FORGET = "DELETE FROM consistency_anomaly WHERE check_name = 'stale_processing'"


def ask(*statements: str) -> None:
    """Run these, each in a transaction of its own."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    started = perf_counter()
    act()
    return perf_counter() - started


def rounds() -> dict[str, list[float]]:
    """Seconds of each variant, in turn, so that drift hits all alike; dead rows are gone before each."""
    from consistency.memory import Memory
    from consistency.recorder import scan_and_record
    from consistency.registry import CHECKS

    write, writing = Memory.write, list[float]()

    def timed(*arguments: object, **more: object) -> object:
        result: list[object] = []
        writing.append(seconds(lambda: result.append(write(*arguments, **more))))  # type: ignore[arg-type]
        return result[0]

    def record() -> float:
        Memory.write = timed  # type: ignore[method-assign,assignment]
        scan_and_record([CHECKS["stale_processing"]], timeout=60)
        return writing.pop()

    taken: dict[str, list[float]] = {name: [] for name in ("bare new", "bare again", "new", "again", "scan and new")}
    for _ in range(ROUNDS):
        ask(FORGET, "VACUUM consistency_anomaly")
        taken["bare new"].append(seconds(lambda: ask(BARE)))
        taken["bare again"].append(seconds(lambda: ask(BARE)))
        ask(FORGET, "VACUUM consistency_anomaly")
        whole = seconds(lambda: taken["new"].append(record()))
        taken["scan and new"].append(whole)
        taken["again"].append(record())
    Memory.write = write  # type: ignore[method-assign]
    return taken


@contextmanager
def platform() -> Iterator[None]:
    """A server of its own with a million anomalies and so many files to find."""
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        server = start_postgres(Path(folder), durable=True)
        stopping.callback(server.stop)
        nowhere = {"REDIS_URL": "redis://127.0.0.1:9/0", "QDRANT_URL": "http://127.0.0.1:9", "ALLOWED_HOSTS": "-"}
        os.environ.update(nowhere, DATABASE_URL=server.url, SECRET_KEY=secrets.token_hex(32))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(STORED_ROWS, [STORED])
            cursor.execute(FILES, [FOUND])
            cursor.execute("VACUUM ANALYZE")
        stopping.callback(connection.close)
        yield


def beside(python: str) -> None:
    """django-datawatch, in a database of its own on this server."""
    ask("CREATE DATABASE datawatch")
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path="/datawatch").geturl()
    script = str(Path(__file__).with_name("datawatch.py"))
    subprocess.run([python, script], env={"DATABASE_URL": url}, check=True)  # noqa: S603 - who measures names it


def main() -> None:
    """Print the medians, their ratio to the bare INSERT, and rows a second."""
    with platform():
        taken = {name: median(each) for name, each in rounds().items()}
        for python in sys.argv[1:]:
            beside(python)
    for name, bare in (("new", "bare new"), ("again", "bare again"), ("scan and new", "bare new")):
        ratio = taken[name] / taken[bare]
        sys.stdout.write(
            f"{FOUND} {name}: {taken[name]:.2f} s, bare INSERT {taken[bare]:.2f} s, x{ratio:.2f}"
            f", {FOUND / taken[name]:.0f} rows/s\n"
        )


if __name__ == "__main__":
    main()
