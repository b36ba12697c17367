"""Exit codes and usage of check_consistency, each exit code also in a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection

from config.demo.process import ROOT
from consistency.models import File
from consistency.registry import CHECKS
from tests.consistency.conftest import Define, moved_to
from tests.consistency.data import a_file, a_job
from tests.consistency.processes import UNREACHABLE, check_consistency, run

pytestmark = pytest.mark.usefixtures("transactional_db")

HOSTILE = "\x1b[31mred\x1b]0;title\x07\n\u202e\x9b[bold]name[/bold]"


# --- Exit codes, as cron sees them -----------------------------------------------------------------------
def test_clean_is_0(database_url: str) -> None:
    ended = check_consistency(database_url=database_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ok at ")


def test_found_is_1(database_url: str) -> None:
    a_file("stale", "processing")
    ended = check_consistency(database_url=database_url)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "stale.mp4" in ended.stdout


def test_wrong_usage_is_2_and_names_the_nearest(database_url: str) -> None:
    ended = check_consistency("stale_procesing", database_url=database_url)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "unknown check 'stale_procesing'. Did you mean 'stale_processing'? Allowed: stale_proc" in ended.stderr


def test_a_check_that_could_not_run_is_3_even_if_others_found_something(database_url: str) -> None:
    a_job(1, "running", of="gone")
    arguments = ("--tag", "jobs", "--tag", "identities")
    ended = check_consistency(*arguments, database_url=database_url)
    assert ended.returncode == 3
    assert "could not run: IDENTITIES_DIR is not set" in ended.stdout
    assert "job_without_file: 1 found" in ended.stdout
    assert run(*arguments, "--fail-level", "never")[0] == 3


def test_an_unreachable_database_is_3_and_one_clear_line() -> None:
    ended = check_consistency(database_url=UNREACHABLE)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "'default': PostgreSQL is not reachable" in ended.stderr
    assert "secret" not in ended.stderr


def test_an_unreachable_database_is_a_report_too_where_json_is_wanted() -> None:
    ended = check_consistency("--format", "json", "--quiet", database_url=UNREACHABLE)
    report = json.loads(ended.stdout)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (3, 1)
    assert (report["complete"], report["status"], report["affected_files"]) == (False, "degraded", None)
    assert {(check["count"], check["error"]) for check in report["checks"]} == {(None, "PostgreSQL is not reachable")}
    with moved_to(UNREACHABLE):
        code, out, err = run("--format", "ndjson")
        assert (code, err) == (3, ended.stderr)
        without_rows = [{key: check[key] for key in check if key != "files"} for check in report["checks"]]
        [last] = [json.loads(line) for line in out.splitlines()]
        assert last | {"checked_at": ""} == report | {"checked_at": "", "checks": without_rows}
        code, out, err = run("--format", "csv")
        assert (code, err) == (3, ended.stderr)
        assert out.splitlines()[1].startswith("# complete: false, status: degraded, ")


def test_listing_and_sql_and_help_need_no_database() -> None:
    with moved_to(UNREACHABLE):
        code, listed, err = run("--list-checks")
    assert (code, err) == (0, "")
    for check in CHECKS.values():
        line = next(line for line in listed.splitlines() if line.startswith(check.name))
        assert all(word in line for word in (check.severity.word, check.title, *check.tags))
    printed = check_consistency("--sql", database_url=UNREACHABLE)
    assert (printed.returncode, printed.stderr, printed.stdout.count("SELECT count(*)")) == (0, "", 4)
    helped = check_consistency("--help", database_url=UNREACHABLE)
    assert helped.returncode == 0
    assert "exit codes:\n  0  clean" in helped.stdout
    assert "examples:\n  check_consistency " in helped.stdout


def test_a_pipe_that_is_closed_early_is_3_without_a_message(database_url: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, repeat('name', 20), 'processing' FROM generate_series(1, 2000) n"
        )
    command = f"{sys.executable} manage.py check_consistency --format ndjson | head -n 1"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (3, "")
    assert len(ended.stdout.splitlines()) == 1


def test_an_unexpected_error_is_3_and_not_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **more: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("consistency.management.commands.check_consistency.record_scan", fails)
    assert run()[0] == 3


# --- What counts as found --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "level", "code"),
    [
        ("unregistered", "info", 1),
        ("unregistered", "warn", 0),
        ("unregistered", "never", 0),
        ("processing", "info", 1),
        ("processing", "warn", 1),
        ("processing", "error", 0),
        ("processing", "never", 0),
        ("registered", "info", 0),
    ],
)
def test_the_fail_level_decides_between_0_and_1(status: str, level: str, code: int) -> None:
    a_file("a", status)
    for how in ("text", "json", "ndjson", "csv"):
        assert run("--fail-level", level, "--format", how)[0] == code


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_quiet_prints_no_output_while_no_finding_reaches_the_level(how: str) -> None:
    assert run("--quiet", "--format", how) == (0, "", "")
    a_file("rest", "unregistered")
    assert run("--quiet", "--format", how) == (0, "", "")
    assert "rest.mp4" in run("--quiet", "--format", how, "--fail-level", "info")[1]
    assert "rest.mp4" in run("--quiet", "--format", how, "--fail-level", "never")[1]


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_quiet_prints_findings_and_checks_that_could_not_run(how: str) -> None:
    a_file("stale", "processing")
    loud, quiet = run("--format", how), run("--quiet", "--format", how)
    assert quiet[0] == loud[0] == 1
    assert "stale.mp4" in quiet[1]
    assert len(quiet[1].splitlines()) == len(loud[1].splitlines())
    code, out, _ = run("--quiet", "--tag", "identities", "--format", how)
    assert code == 3
    assert "IDENTITIES_DIR is not set" in out


# --- Usage -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tag", "job"], "unknown tag 'job'. Did you mean 'jobs'?"),
        (["--database", "defualt"], "unknown database 'defualt'. Did you mean 'default'?"),
        (["--fail-level", "warning"], "unknown level 'warning'. Did you mean 'warn'?"),
        (["--limit", "-1"], "'-1' is not a whole number, 0 or more"),
        (["--limit", "many"], "'many' is not a whole number, 0 or more"),
        (["--timeout", "0"], "'0' is not a number of seconds, more than 0"),
        (["--timeout", "nan"], "'nan' is not a number of seconds"),
        (["--timeout", "inf"], "'inf' is not a number of seconds"),
        (["--confirm", "2h"], "'2h' is more than an hour"),
        (["--confirm", "30"], "'30' is not a length of time"),
        (["--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) in ((1, ""), (2, ""))
    assert words in err


def test_an_unknown_name_in_the_setting_is_wrong_usage(settings: Any) -> None:
    settings.CONSISTENCY_CHECKS = ["job_without_files"]
    code, _, err = run()
    assert code == 2
    assert "CONSISTENCY_CHECKS" in err
    assert "Did you mean 'job_without_file'?" in err


def test_confirm_0s_runs_one_pass_in_spite_of_the_setting(settings: Any) -> None:
    settings.CONSISTENCY_CONFIRM = 3_600
    a_file("a", "processing")
    assert run("stale_processing", "--confirm", "0s")[0] == 1


def test_checks_are_chosen_by_name_and_by_tag() -> None:
    report = json.loads(run("stale_processing", "--tag", "jobs", "--tag", "vocabulary", "--format", "json")[1])
    assert [check["check"] for check in report["checks"]] == [
        "stale_processing",
        "unknown_status",
        "duplicate_active_jobs",
        "job_without_file",
    ]


def test_the_timeout_bounds_the_whole(define: Define) -> None:
    def slow() -> Any:
        return File.objects.extra(where=["pg_sleep(30) IS NOT NULL"])

    a_file("a", "registered")
    define("slow", slow)
    code, out, _ = run("slow", "--timeout", "0.5")
    assert code == 3
    assert "slow could not run: timed out after 0." in out
