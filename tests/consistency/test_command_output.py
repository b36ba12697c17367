"""Output of check_consistency: for people, for pipes, on terminals and into files."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from config.demo.process import ROOT
from consistency.models import File
from consistency.registry import CHECKS
from tests.consistency.data import a_file, a_job
from tests.consistency.processes import UNREACHABLE, check_consistency, run

pytestmark = pytest.mark.usefixtures("transactional_db")

HOSTILE = "\x1b[31mred\x1b]0;title\x07\n\u202e\x9b[bold]name[/bold]"


def one_of_each() -> None:
    a_job(1, "completed", of="done")
    a_file("stale", "processing")
    a_file("done", "processing", job=1)
    a_file("rest", "unregistered")


# --- Formats ---------------------------------------------------------------------------------------------
def test_text_has_a_table_the_findings_and_the_hints() -> None:
    one_of_each()
    lines = run()[1].splitlines()
    assert re.fullmatch(r"degraded at \S+Z, database default, affected files: 3", lines[0])
    assert [line.split()[:3] for line in lines[3:7]] == [
        ["stale_processing", "warn", "1"],
        ["orphaned_processing", "warn", "2"],
        ["processing_job_done", "warn", "1"],
        ["unregistered_with_uuid", "info", "1"],
    ]
    for check in CHECKS.values():
        assert any(check.hint in line for line in lines) == check.default
    assert "  done.mp4   done       processing  job 1 is completed" in lines
    assert not [line for line in lines if line != line.rstrip()]


def test_text_shows_ten_rows_a_check_and_says_how_to_see_more() -> None:
    for number in range(12):
        a_file(f"file {number:02}", "unregistered")
    out = run()[1]
    assert "file 09.mp4" in out
    assert "file 10.mp4" not in out
    assert "... and 2 more: --limit N" in out
    assert "file 11.mp4" in run("--limit", "12")[1]


def test_json_is_the_report_of_the_rest_endpoint() -> None:
    one_of_each()
    report = json.loads(run("--format", "json")[1])
    assert list(report) == ["status", "checked_at", "complete", "affected_files", "checks", "recorded"]
    assert [check["count"] for check in report["checks"]] == [1, 2, 1, 1]
    assert report["checks"][0]["files"][0]["detail"] == "job_id is null"
    assert json.loads(run("--format", "json", "--limit", "0")[1])["checks"][1]["files"] == []


def test_values_are_whole_where_there_is_no_terminal() -> None:
    long = "a" * 3000
    a_file(long, "processing")
    for how in ("text", "json", "ndjson", "csv"):
        assert f"{long}.mp4" in run("--format", how)[1]


@pytest.mark.parametrize("how", ["text", "json", "ndjson"])
def test_a_hostile_name_does_nothing_to_a_terminal(how: str) -> None:
    File.objects.create(file_uuid="hostile", file_name=HOSTILE, status=HOSTILE)
    File.objects.create(file_uuid="hostile too", file_name=HOSTILE, status="processing")
    out = run("stale_processing", "unknown_status", "--format", how)[1]
    assert not [char for char in out if not char.isprintable() and char != "\n"]
    if how == "text":
        assert r"\x1b[31mred\x1b]0;title\x07\n\u202e\x9b[bold]name[/bold]" in out


@pytest.mark.parametrize("how", ["json", "ndjson", "csv"])
def test_on_a_terminal_every_format_is_escaped_and_a_pipe_gets_every_byte(how: str) -> None:
    File.objects.create(file_uuid="hostile", file_name=f"{HOSTILE}\r\x7f", status="processing")
    written, terminal = run("stale_processing", "--format", how)[1], Terminal()
    with suppress(SystemExit):
        call_command("check_consistency", "stale_processing", "--format", how, stdout=terminal, stderr=io.StringIO())
    assert not [char for char in terminal.getvalue() if not char.isprintable() and char != "\n"]
    assert (
        r"\x1b[31mred\x1b]0;title\x07" if how == "csv" else r"\u001b[31mred\u001b]0;title\u0007"
    ) in terminal.getvalue()
    assert how != "csv" or f'"{HOSTILE}\r\x7f"' in written


def test_a_name_without_end_is_cut_in_the_text() -> None:
    File.objects.create(file_uuid="long", file_name="a" * 100_000, status="processing")
    a_file("short", "processing")
    lines = run("stale_processing")[1].splitlines()
    assert max(map(len, lines)) < 4300
    assert "  short.mp4" + " " * 53 + "short      processing  job_id is null" in lines


def test_the_printed_sql_returns_the_findings() -> None:
    one_of_each()
    out = run("--sql", "orphaned_processing", "unknown_status", "identity_row_missing")[1]
    statements = [line for line in out.splitlines() if line.endswith(";")]
    answers = []
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            answers.append(cursor.fetchall())
    assert answers[:2] == [
        [(2,)],
        [
            ("done", "done.mp4", "done", "processing", "job 1 is completed"),
            ("stale", "stale.mp4", "stale", "processing", "job_id is null and no job is active"),
        ],
    ]
    assert len(statements) == 6
    assert "-- identity_row_missing: " in out
    assert "No SQL" in out


# --- Colours and the bar ---------------------------------------------------------------------------------
def on_a_terminal(*arguments: str, database_url: str, **environment: str) -> str:
    """The command with stdout and stderr on a terminal of 80 columns; all that it wrote there."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "check_consistency", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "80"} | environment,
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    written = b""
    try:
        while piece := os.read(primary, 65_536):
            written += piece
    except OSError:  # Linux: the other side is closed
        pass
    os.close(primary)
    process.wait(timeout=60)
    return written.decode()


def test_a_terminal_gets_colours_and_a_bar_and_whole_values_over_several_lines(database_url: str) -> None:
    a_file("x" * 100, "unregistered")
    written = on_a_terminal("unregistered_with_uuid", database_url=database_url)
    assert "\x1b[36minfo" in written
    assert "━" in written
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert max(len(line) for line in plain.replace("\r", "\n").splitlines()) <= 80
    assert plain.count("x") >= 200


@pytest.mark.parametrize(("arguments", "environment"), [(["--no-color"], {}), ([], {"NO_COLOR": "1"})])
def test_no_color_prints_without_colours(database_url: str, arguments: list[str], environment: dict[str, str]) -> None:
    written = on_a_terminal("unregistered_with_uuid", *arguments, database_url=database_url, **environment)
    assert "\x1b[3" not in written
    assert "\x1b[1m" not in written


def test_a_pipe_gets_neither() -> None:
    one_of_each()
    code, out, err = run()
    assert (code, err) == (1, "")
    assert "\x1b" not in out


# --- Files -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_output_is_written_to_a_file_and_nothing_to_stdout(tmp_path: Path, how: str) -> None:
    one_of_each()
    target = tmp_path / "report"
    assert run("--format", how, "--output", str(target))[:2] == (1, "")
    assert "stale.mp4" in target.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_existing_file_keeps_its_mode_and_a_new_one_gets_that_of_the_umask(tmp_path: Path) -> None:
    existing, new = tmp_path / "existing", tmp_path / "new"
    existing.write_text("before")
    existing.chmod(0o640)
    umask = os.umask(0o027)
    try:
        for target in (existing, new):
            run("--output", str(target))
    finally:
        os.umask(umask)
    assert [oct(target.stat().st_mode & 0o777) for target in (existing, new)] == ["0o640", "0o640"]
    assert existing.read_text().startswith("ok at ")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    run("--output", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text().startswith("ok at ")


def test_a_file_that_cannot_be_written_is_2_before_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: Any, **more: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("consistency.management.commands.check_consistency.record_scan", asked)
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "no" / "such" / "folder", tmp_path / "file" / "below", tmp_path, Path("/dev/null")):
        code, out, words = run("--output", str(target))
        assert (code, out) == (2, "")
        assert words.startswith(f"cannot write {target}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert Path("/dev/null").is_char_device()


def test_a_scan_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_text("before")
    ended = check_consistency("--output", str(target), database_url=UNREACHABLE)
    assert ended.returncode == 3
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_that_two_passes_run_and_a_clean_first_pass_has_no_pause() -> None:
    for errors, expected in ((Terminal(), "Running two passes, 60 s apart.\n"), (io.StringIO(), "")):
        call_command("check_consistency", "--confirm", "60s", "--no-record", stdout=io.StringIO(), stderr=errors)
        assert errors.getvalue() == expected
