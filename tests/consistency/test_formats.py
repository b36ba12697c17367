"""NDJSON and CSV: every finding at constant memory, and a last line that says how the scan ended."""

import csv
import io
import json
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection

from config.demo.process import until
from consistency.history.scanning import open_pass
from consistency.history.suppression import mute
from consistency.models import File
from consistency.registry import CHECKS, Check, Finding
from consistency.scan.engine import CHUNK_SIZE, Engine
from consistency.scan.formats import STREAM_FORMATS, safe_cell
from consistency.scan.passes import shown_rows
from consistency.scan.selection import default_checks, select_checks
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import STALE, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def stream(name: str, checks: Sequence[Check], **options: Any) -> Iterator[str]:
    """Stream a scan in a format."""
    engine, format_ = open_pass(checks, **options), STREAM_FORMATS[name]
    yield format_.head()
    for check, rows in shown_rows(engine, engine.limit):
        yield format_.rows(check, rows)
    yield format_.ending(engine.report, {})


def many_stale(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT lpad(n::text, 8, '0'), 'a name', 'processing' FROM generate_series(1, %s) n",
            [number],
        )


def as_lines(checks: Any = None, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in "".join(stream("ndjson", checks or default_checks(), **more)).splitlines()]


def test_every_row_comes_in_order_and_the_last_line_is_the_report_without_rows() -> None:
    many_stale(2 * CHUNK_SIZE + 1)
    *rows, last = as_lines([CHECKS["stale_processing"]])
    assert [row["file_uuid"] for row in rows] == sorted(row["file_uuid"] for row in rows)
    assert len(rows) == 2 * CHUNK_SIZE + 1
    assert rows[0] == {
        "check": "stale_processing",
        "severity": "warn",
        "file_name": "a name",
        "file_uuid": "00000001",
        "status": "processing",
        "detail": "job_id is null",
    }
    assert list(last) == ["status", "checked_at", "complete", "affected_files", "checks"]
    assert (last["status"], last["complete"], last["affected_files"]) == ("degraded", True, 2 * CHUNK_SIZE + 1)
    assert [(check["check"], check["count"], check["truncated"]) for check in last["checks"]] == [
        ("stale_processing", 2 * CHUNK_SIZE + 1, False)
    ]
    assert "files" not in last["checks"][0]


def test_a_limit_holds_per_check_and_the_count_stays_exact() -> None:
    many_stale(5)
    a_file("rest", "unregistered")
    *rows, last = as_lines(limit=2)
    assert [row["check"] for row in rows] == ["stale_processing"] * 2 + ["orphaned_processing"] * 2 + [
        "unregistered_with_uuid"
    ]
    assert [(check["count"], check["truncated"]) for check in last["checks"]] == [
        (5, True),
        (5, True),
        (0, False),
        (1, False),
    ]
    assert as_lines(limit=0)[-1]["checks"][0]["count"] == 5


def test_an_empty_database_streams_the_report_alone() -> None:
    [last] = as_lines()
    assert (last["status"], last["complete"], last["affected_files"]) == ("ok", True, 0)


def test_csv_has_a_header_a_record_per_finding_and_says_at_the_end_whether_it_is_complete() -> None:
    a_job(1, "running", of="gone")
    a_file('quote " comma , newline \n', "processing")
    text = "".join(stream("csv", select_checks(["stale_processing", "job_without_file"])))
    *records, last = list(csv.reader(io.StringIO(text)))
    assert records == [
        ["check", "severity", "object_type", "object_id", "file_uuid", "file_name", "status", "detail"],
        [
            "stale_processing",
            "warn",
            "",
            "",
            'quote " comma , newline \n',
            'quote " comma , newline \n.mp4',
            "processing",
            "job_id is null",
        ],
        ["job_without_file", "warn", "job", "1", "", "", "", "no file has the file_uuid 'gone'"],
    ]
    assert ",".join(last).startswith("# complete: true, status: degraded, checked_at: ")
    assert ",".join(last).endswith("stale_processing: 1, job_without_file: 1")


# Each `!` is where an apostrophe has to come.
RUN = [
    *(f"!{sign}1+1" for sign in "=+-@\uff1d\uff0b\uff0d\uff20"),
    *(f"{blank}!=1+1" for blank in (" ", "\t", "\r", "\n", "\0", "\xa0", "\u200b", "\ufeff", " \t \v")),
    *(f"a{separator}!=1+1" for separator in (";", "\t", "\r", "\n", "\r\n", "; ", ';"', ' \t ""', ";;")),
    *(";!=1", '\t"!=1', ' \t"!=1', "!=a;!+b\n!-c", "a;b; !@c"),
]
READ = ["", "a=1", "a-b;c", "a - b", "1+1", "'=1", '"=1', "a,=1", "a b=1;c=2", "a ;\n", "; a -1", "mail@host", ",\n#"]


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_is_disarmed_wherever_it_may_begin_a_cell(text: str) -> None:
    assert safe_cell(text.replace("!", "")) == text.replace("!", "'")


@pytest.mark.parametrize("text", READ)
def test_what_no_spreadsheet_runs_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_however_many_blanks_there_are_each_is_looked_at_once() -> None:
    # Looked at from each of them, that many would take hours.
    assert safe_cell(2_000_000 * "\t" + "=1") == 2_000_000 * "\t" + "'=1"
    assert safe_cell(2_000_000 * ";" + "1") == 2_000_000 * ";" + "1"


@pytest.mark.parametrize("separator", list(",;\t"))
def test_no_cell_of_a_csv_begins_a_formula_whatever_the_separator_is(separator: str) -> None:
    for number, name in enumerate(text.replace("!", "").replace("\0", "") for text in RUN):
        File.objects.create(file_uuid=f"{number}", file_name=name, status="processing")
    text = "".join(stream("csv", [CHECKS["stale_processing"]]))
    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]
    assert len(cells) > len(RUN)
    assert not [cell for cell in cells if re.match(r"[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell)]


def test_a_reason_in_the_last_line_of_a_csv_is_no_formula_either() -> None:
    a_file("a", "processing")
    recorded(STALE)
    mute(STALE, until=in_days(1), by="ann", reason="later;=1+1")
    last = "".join(stream("csv", [CHECKS[STALE]])).splitlines()[-1]
    assert "later;'=1+1" in last


def test_a_check_that_breaks_on_the_way_is_told_at_the_end_and_stops_no_other(define: Define) -> None:
    def breaks_late() -> Any:
        return File.objects.extra(where=["1 / (file_uuid::int - 3000) IS NOT NULL"])

    many_stale(5000)
    a_file("99999999", "unregistered")
    *rows, last = as_lines([define("breaks_late", breaks_late), CHECKS["unregistered_with_uuid"]])
    assert [row["check"] for row in rows].count("unregistered_with_uuid") == 1
    assert (last["complete"], last["status"], last["affected_files"]) == (False, "degraded", None)
    assert last["checks"][0]["count"] is None
    assert last["checks"][0]["error"] == "PostgreSQL refused its query (SQLSTATE 22012)"
    assert last["checks"][1]["count"] == 1


def test_findings_from_outside_come_after_those_of_the_database(define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        """Something outside"""
        for number in range(3):
            yield Finding(object_type="thing", object_id=str(number), detail="broken")

    a_file("stale", "processing")
    *rows, last = as_lines([define("outside", outside, detail=None), CHECKS["stale_processing"]], limit=2)
    assert [row["check"] for row in rows] == ["stale_processing", "outside", "outside"]
    assert [(check["check"], check["count"]) for check in last["checks"]] == [("outside", 3), ("stale_processing", 1)]


def test_memory_does_not_grow_with_the_number_of_findings() -> None:
    def peak(number: int) -> int:
        delete_files()
        many_stale(number)
        tracemalloc.start()
        for _ in stream("ndjson", [CHECKS["stale_processing"]]):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(100)
    # Memory that grew with the rows would be five times as much.
    assert peak(30_000) < 3 * peak(6_000)


def test_an_engine_that_is_read_to_its_end_closes_its_connection() -> None:
    engine = Engine(default_checks())
    list(engine)
    assert engine.connection.connection is None


def test_a_stream_that_is_dropped_half_way_closes_its_connection() -> None:
    many_stale(2 * CHUNK_SIZE)
    engine = Engine([CHECKS["stale_processing"]])
    chunks = iter(engine)
    next(chunks)
    chunks.close()
    assert engine.connection.connection is None


def test_a_stopped_engine_reports_the_reason() -> None:
    many_stale(3 * CHUNK_SIZE)
    engine = Engine([CHECKS["stale_processing"]])
    chunks = iter(engine)
    next(chunks)
    engine.stop("its client stopped reading")
    assert list(chunks) == []
    assert engine.report.outcomes[0].error == "its client stopped reading"


def test_between_two_chunks_the_connection_of_the_thread_is_its_own() -> None:
    many_stale(2 * CHUNK_SIZE)
    for _ in Engine([CHECKS["stale_processing"]]):
        File.objects.create(file_uuid="between", file_name="", status="registered")
        break
    assert File.objects.filter(pk="between").exists()


def test_a_reader_that_pauses_for_too_long_is_no_outage_of_the_server() -> None:
    many_stale(3 * CHUNK_SIZE)
    engine = Engine([CHECKS["stale_processing"]], idle_timeout=0.1)
    chunks = iter(engine)
    next(chunks)
    pid = engine.connection.connection.info.backend_pid
    with connection.cursor() as cursor:
        for _ in until(20):
            cursor.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [pid])
            if cursor.fetchone() == (False,):
                break
    assert list(chunks) == []
    assert engine.report.outcomes[0].error == "it paused for too long, and the server ended its snapshot"
