"""Measure a recording: 50,000 findings beside a million anomalies, against bare statements in psql for the same rows.

Run from the project's folder: python -m benchmarks.recording [PYTHON]. PYTHON is the program of a virtual environment
with django-datawatch and psycopg, to measure django-datawatch in the same database.

"record" is the time of the recorder: COPY of the findings, SQL, commit. "scan" is the time of the whole scan. Then a
million unchanged findings are recorded: rows written, WAL, and growth of the memory of the process.

Measured on two cores with eight other busy processes (PostgreSQL 18, medians of three rounds): new x1.18, resolved
x1.20 and returned x1.23 of the bare statement, with the scan x1.33, x1.22 and x1.35. A million unchanged findings: 43 s
(63 s with the scan), no anomaly written, 0.6 MiB of WAL, 4 MiB more memory. At most x1.5 is promised for "record".
"""

import os
import re
import resource
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

from config.demo.servers import Server, start_postgres

STORED, FOUND, ROUNDS = 1_000_000, 50_000, 5
CHECK, STORED_CHECK = "stale_processing", "unregistered_with_uuid"

STORED_ROWS = """
INSERT INTO files (file_uuid, file_name, status)
SELECT md5(n::text), n || '.mp4', 'unregistered' FROM generate_series(1, %(rows)s) n;
INSERT INTO consistency_scan (id, database, recorded_at, snapshot_at, trigger, actor, complete, status, duration_ms,
    new, returned, resolved, ongoing)
VALUES (0, 'default', now(), now(), 'command', '', true, 'ok', 0, %(rows)s, 0, 0, 0);
INSERT INTO consistency_scancheck (scan_id, database, check_name, severity, outcome, count, run, acknowledged, muted,
    duration_ms, error, new, returned, resolved, ongoing)
VALUES (0, 'default', 'unregistered_with_uuid', 1, 'found', %(rows)s, 1, 0, 0, 0, '', %(rows)s, 0, 0, 0);
INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid, file_name,
    status, first_seen, appeared_at, appeared_scan, appeared_run, appeared_event, returned_count, times_seen_before)
SELECT 'default', 'unregistered_with_uuid', 'file', md5(n::text), 1, 'row left over from a migration', md5(n::text),
    n || '.mp4', 'unregistered', now(), now(), 0, 1,
    nextval(pg_get_serial_sequence('consistency_anomalyevent', 'id')), 0, 0
FROM generate_series(1, %(rows)s) n;
INSERT INTO consistency_anomalyevent (id, anomaly_id, kind, at, by, text, scan)
SELECT appeared_event, id, 'found', appeared_at, '', '', 0 FROM consistency_anomaly"""
FOUND_ROWS = """
INSERT INTO files (file_uuid, file_name, status)
SELECT md5('file' || n), n || '.mp4', 'processing' FROM generate_series(1, %s) n"""

CHANGE = {
    "new": """
WITH changed AS (
    INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid,
        file_name, status, first_seen, appeared_at, appeared_scan, appeared_run, appeared_event, returned_count,
        times_seen_before)
    SELECT 'default', 'stale_processing', 'file', file_uuid, 2, 'job_id is null', file_uuid, file_name, status, now(),
        now(), 1, 1, nextval(pg_get_serial_sequence('consistency_anomalyevent', 'id')), 0, 0
    FROM files WHERE status = 'processing' ORDER BY file_uuid
    RETURNING id, appeared_event AS event)""",
    "resolved": """
WITH changed AS (
    UPDATE consistency_anomaly SET resolved_at = now(), last_seen_before = now(), times_seen_before = 1,
        resolved_event = nextval(pg_get_serial_sequence('consistency_anomalyevent', 'id'))
    WHERE check_name = 'stale_processing' RETURNING id, resolved_event AS event)""",
    "returned": """
WITH changed AS (
    UPDATE consistency_anomaly SET resolved_at = NULL, resolved_event = NULL, appeared_at = now(), appeared_scan = 1,
        appeared_run = 2, returned_count = 1,
        appeared_event = nextval(pg_get_serial_sequence('consistency_anomalyevent', 'id'))
    WHERE check_name = 'stale_processing' RETURNING id, appeared_event AS event)""",
}
EVENT = """
INSERT INTO consistency_anomalyevent (id, anomaly_id, kind, at, by, text, scan)
SELECT event, id, '{}', now(), '', '', 1 FROM changed"""
BARE = {change: statement + EVENT.format(change) for change, statement in CHANGE.items()}
"""Statements that write the same rows as a recording, by the change that the recording makes."""
CLEAN = (
    "DELETE FROM consistency_anomalyevent e USING consistency_anomaly a"
    " WHERE a.id = e.anomaly_id AND a.check_name = 'stale_processing'",
    "DELETE FROM consistency_anomaly WHERE check_name = 'stale_processing'",
    "VACUUM consistency_anomaly",
    "VACUUM consistency_anomalyevent",
)
REPAIR = "UPDATE files SET status = 'completed' WHERE status = 'processing'"
BREAK = "UPDATE files SET status = 'processing' WHERE status = 'completed'"
TIME = re.compile(r"^Time: ([\d.]+) ms", re.MULTILINE)


class Psql:
    """The psql beside the server's own program."""

    def __init__(self, server: Server) -> None:
        self.program = next(
            Path(process.exe()).with_name("psql") for process in server.tree() if process.name().startswith("postgres")
        )
        self.url = server.url

    def run(self, *statements: str) -> list[float]:
        """Run the statements, each in a transaction of its own; return the seconds of each by psql's clock."""
        result = subprocess.run(  # noqa: S603 - the server's own
            [self.program, self.url, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
            input="\\timing on\n" + "".join(f"{statement};\n" for statement in statements),
            capture_output=True,
            text=True,
            check=True,
        )
        return [float(milliseconds) / 1000 for milliseconds in TIME.findall(result.stdout)]


def seconds(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    started = perf_counter()
    action()
    return perf_counter() - started


def record(check: str) -> tuple[float, float]:
    """Record a scan; return the seconds of the recorder and of the scan."""
    from consistency.history.recorder import Recorder
    from consistency.history.scanning import record_scan
    from consistency.registry import CHECKS

    times: list[float] = []

    def timed(name: str) -> Callable[..., Any]:
        method = getattr(Recorder, name)

        def call(*arguments: Any) -> Any:
            result: list[Any] = []
            times.append(seconds(lambda: result.append(method(*arguments))))
            return result[0]

        return call

    methods = {name: getattr(Recorder, name) for name in ("add", "finish")}
    for name in methods:
        setattr(Recorder, name, timed(name))
    try:
        whole = seconds(lambda: record_scan([CHECKS[check]], trigger="command", timeout=300))
    finally:
        for name, method in methods.items():
            setattr(Recorder, name, method)
    return sum(times), whole


def measure(psql: Psql) -> dict[str, list[float]]:
    """Return the seconds of each variant; rounds alternate, so drift hits all variants alike."""
    names = [f"{kind} {change}" for change in BARE for kind in ("bare", "record", "scan")]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        psql.run(*CLEAN)
        for change, statement in BARE.items():
            taken[f"bare {change}"] += psql.run(statement)
        psql.run(*CLEAN)
        for change in BARE:
            psql.run(REPAIR if change == "resolved" else BREAK)
            for kind, took in zip(("record", "scan"), record(CHECK), strict=True):
                taken[f"{kind} {change}"].append(took)
    return taken


def unchanged() -> str:
    """Record a million unchanged findings; return the costs."""
    state = (
        "SELECT pg_current_wal_insert_lsn(), (SELECT count(*) FROM consistency_anomaly WHERE xmin::text::bigint > %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        [start] = cursor.fetchone()
        cursor.execute(state, [start])
        before = cursor.fetchone()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, whole = record(STORED_CHECK)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    with connection.cursor() as cursor:
        cursor.execute(state, [start])
        after = cursor.fetchone()
        cursor.execute("SELECT pg_wal_lsn_diff(%s, %s)", [after[0], before[0]])
        [wal] = cursor.fetchone()
        cursor.execute("SELECT ongoing FROM consistency_scan ORDER BY id DESC LIMIT 1")
        [ongoing] = cursor.fetchone()
    return (
        f"{ongoing:,} unchanged: record {took:.1f} s, scan {whole:.1f} s, {after[1]:,} anomalies written,"
        f" {wal / 2**20:.1f} MiB of WAL, {memory / 1024:.0f} MiB more memory"
    )


@contextmanager
def database() -> Iterator[Server]:
    """Start a server with Continuity's tables, empty."""
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
    """Start a server with a million anomalies and 50,000 other files."""
    with database() as server:
        with connection.cursor() as cursor:
            for statement in STORED_ROWS.split(";"):
                cursor.execute(statement, {"rows": STORED})
            cursor.execute(FOUND_ROWS, [FOUND])
            cursor.execute("VACUUM ANALYZE")
        yield Psql(server)


def datawatch(python: str) -> None:
    """Measure django-datawatch, with tables of its own, on the same files."""
    script = str(Path(__file__).with_name("datawatch.py"))
    url = {"DATABASE_URL": os.environ["DATABASE_URL"]}
    subprocess.run([python, script], env=url, check=True)  # noqa: S603 - the caller names the program


def main() -> None:
    """Print the medians, their ratio to the bare statement, and the rows per second."""
    with platform() as psql:
        million = unchanged()
        taken = {name: median(each) for name, each in measure(psql).items()}
        for change in BARE:
            bare = taken[f"bare {change}"]
            for kind in ("record", "scan"):
                took = taken[f"{kind} {change}"]
                sys.stdout.write(
                    f"{FOUND:,} {change}: {kind} {took:.2f} s, bare {bare:.2f} s, x{took / bare:.2f},"
                    f" {FOUND / took:,.0f} rows/s\n"
                )
        sys.stdout.write(f"{million}\n")
        for python in sys.argv[1:]:
            datawatch(python)


if __name__ == "__main__":
    main()
