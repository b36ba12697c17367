"""What recording costs: 50,000 findings into a million anomalies, against one bare INSERT of the same rows in psql.

Run from the project's folder: python -m benchmarks.recording [PYTHON], where PYTHON, that of a virtual environment with
django-datawatch and psycopg, has its own way measured beside it, in the same database.

Measured at this size on two cores, most of it quiet (PostgreSQL 18, medians of five rounds): new x0.98 and again x1.14
of the bare statement, with the scan itself x1.44 and x1.50; 21,600 to 48,800 rows a second, django-datawatch 171 to
203. Beside others that use the machine too, single runs came to x0.71 to x1.86. At most x3 is promised. That new rows
come as fast as in the bare statement is their order: they are sorted as the largest index is.
"""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import django
from django.core.management import call_command
from django.db import connection

from config.demo.servers import Server, start_postgres

STORED, FOUND, ROUNDS = 1_000_000, 50_000, 5
AGAINST = {"new": "bare new", "again": "bare again", "scan and new": "bare new", "scan and again": "bare again"}
"""What is measured, and the bare statement that it is held against."""

STORED_ROWS = """
INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid, file_name,
    status, state, first_seen, appeared_at, appeared_scan, last_seen, last_scan, times_seen, returned_count)
SELECT 'default', 'orphaned_processing', 'file', md5(n::text), 2, 'job 1 is failed', md5(n::text), n || '.mp4',
    'processing', 'ongoing', at, at, 0, now(), 0, 1, 0
FROM generate_series(1, %s) n, LATERAL (SELECT now() - n * interval '1 second' AS at)"""
FILES = """
INSERT INTO files (file_uuid, file_name, status)
SELECT md5('file' || n), n || '.mp4', 'processing' FROM generate_series(1, %s) n"""
BARE = """
INSERT INTO consistency_anomaly AS a (database, check_name, object_type, object_id, severity, detail, file_uuid,
    file_name, status, state, first_seen, appeared_at, appeared_scan, last_seen, last_scan, times_seen, returned_count)
SELECT 'default', 'stale_processing', 'file', file_uuid, 2, 'job_id is null', file_uuid, file_name, status, 'new',
    now(), now(), 1, now(), 1, 1, 0
FROM files
ON CONFLICT (database, check_name, object_type, object_id) DO UPDATE SET
    state = 'ongoing', last_seen = excluded.last_seen, last_scan = excluded.last_scan, times_seen = a.times_seen + 1"""
FORGET = "DELETE FROM consistency_anomaly WHERE check_name = 'stale_processing'"
TIME = re.compile(r"^Time: ([\d.]+) ms", re.MULTILINE)


class Psql:
    """The psql beside the server's own program."""

    def __init__(self, server: Server) -> None:
        self.program = next(
            Path(process.exe()).with_name("psql") for process in server.tree() if process.name().startswith("postgres")
        )
        self.url = server.url

    def ask(self, *statements: str) -> list[float]:
        """Run these, each in a transaction of its own; the seconds of each by psql's own clock, its start left out."""
        done = subprocess.run(  # noqa: S603 - the server's own
            [self.program, self.url, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
            input="\\timing on\n" + "".join(f"{statement};\n" for statement in statements),
            capture_output=True,
            text=True,
            check=True,
        )
        return [float(milliseconds) / 1000 for milliseconds in TIME.findall(done.stdout)]


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    started = perf_counter()
    act()
    return perf_counter() - started


def rounds(psql: Psql) -> dict[str, list[float]]:
    """Seconds of each variant, in turn, so that drift hits all alike; dead rows are gone before each."""
    from consistency.history.writing import Memory

    from consistency.history.recorder import scan_and_record
    from consistency.registry import CHECKS

    write, writing, written = Memory.write, list[float](), list[float]()

    def timed(*arguments: object, **more: object) -> object:
        result: list[object] = []
        writing.append(seconds(lambda: result.append(write(*arguments, **more))))  # type: ignore[arg-type]
        return result[0]

    def record() -> float:
        Memory.write = timed  # type: ignore[method-assign,assignment]
        scan_and_record([CHECKS["stale_processing"]], timeout=60)
        return writing.pop()

    taken: dict[str, list[float]] = {name: [] for name in (*AGAINST.values(), *AGAINST)}
    for _ in range(ROUNDS):
        *_, new, again = psql.ask(FORGET, "VACUUM consistency_anomaly", BARE, BARE)
        taken["bare new"].append(new)
        taken["bare again"].append(again)
        psql.ask(FORGET, "VACUUM consistency_anomaly")
        for name in ("new", "again"):
            taken[f"scan and {name}"].append(seconds(lambda: written.append(record())))
            taken[name].append(written.pop())
    Memory.write = write  # type: ignore[method-assign]
    return taken


@contextmanager
def database() -> Iterator[Server]:
    """A server of its own with Continuity's tables, empty."""
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        server = start_postgres(Path(folder), durable=True)
        stopping.callback(server.stop)
        nowhere = {"REDIS_URL": "redis://127.0.0.1:9/0", "QDRANT_URL": "http://127.0.0.1:9", "ALLOWED_HOSTS": "-"}
        os.environ.update(nowhere, DATABASE_URL=server.url, SECRET_KEY=secrets.token_hex(32))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        stopping.callback(connection.close)
        yield server


@contextmanager
def platform() -> Iterator[Psql]:
    """One with a million anomalies and so many files to find."""
    with database() as server:
        with connection.cursor() as cursor:
            cursor.execute(STORED_ROWS, [STORED])
            cursor.execute(FILES, [FOUND])
            cursor.execute("VACUUM ANALYZE")
        yield Psql(server)


def beside(python: str) -> None:
    """django-datawatch, with tables of its own beside ours, on the same files."""
    script = str(Path(__file__).with_name("datawatch.py"))
    url = {"DATABASE_URL": os.environ["DATABASE_URL"]}
    subprocess.run([python, script], env=url, check=True)  # noqa: S603 - who measures names it


def main() -> None:
    """Print the medians, their ratio to the bare INSERT, and rows a second."""
    with platform() as psql:
        taken = {name: median(each) for name, each in rounds(psql).items()}
        for python in sys.argv[1:]:
            beside(python)
    for name, bare in AGAINST.items():
        ratio = taken[name] / taken[bare]
        sys.stdout.write(
            f"{FOUND} {name}: {taken[name]:.2f} s, bare INSERT {taken[bare]:.2f} s, x{ratio:.2f}"
            f", {FOUND / taken[name]:.0f} rows/s\n"
        )


if __name__ == "__main__":
    main()
