"""check_health as a process: exit codes, standard output and standard error."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, execute_from_command_line
from pytest_django import Settings

from config.demo.process import ROOT
from health.registry import PROBES, Degraded, Failed, Unfinished, probe

AWAY = "127.0.0.1:1"


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process, as cron does; a busy machine may need a minute."""
    return subprocess.run(
        [sys.executable, "manage.py", "check_health", "--timeout", "60", *words],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


# --- Exit codes ------------------------------------------------------------------------------------------
def test_all_is_well() -> None:
    done = run("postgres", "redis", "qdrant")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith("Overall: ok (postgres, redis, qdrant decide)")


@pytest.mark.parametrize(
    ("name", "variable", "url"),
    [
        ("postgres", "DATABASE_URL", f"postgres://user:hunter2@{AWAY}/platform"),
        ("redis", "REDIS_URL", f"redis://:hunter2@{AWAY}/0"),
    ],
)
def test_an_unreachable_service_fails_the_command(name: str, variable: str, url: str) -> None:
    done = run(name, "--fail-level", "error", **{variable: url})
    assert done.returncode == 1
    assert done.stderr == ""
    [line] = [line for line in done.stdout.splitlines() if line.startswith(name)]
    assert line.split()[1] == "error"
    assert "connection refused" in line
    assert not [word for word in (AWAY, "hunter2", "Traceback") if word in done.stdout]


def test_with_everything_away_it_still_reports_and_ends() -> None:
    done = run(
        DATABASE_URL=f"postgres://user:hunter2@{AWAY}/platform",
        REDIS_URL=f"redis://{AWAY}/0",
        QDRANT_URL=f"http://{AWAY}",
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("skipped: postgres is down") >= 3
    assert done.stdout.splitlines()[-2:] == [
        "Overall: degraded (postgres, redis, qdrant decide)",
        "consistency fails this command: skipped: postgres is down",
    ]


@pytest.mark.django_db(transaction=True)
def test_an_informing_probe_decides_only_if_it_is_named(settings: Settings) -> None:
    settings.SCRIPTS_DIR = Path("/nowhere")
    assert called()[0] == 0
    assert called("pipeline")[0] == 1
    assert called("pipeline", "--fail-level", "error")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["postgre"], "unknown probe 'postgre'. Did you mean 'postgres'? Allowed: "),
        (["nope"], "unknown probe 'nope'. Allowed: "),
        (["--timeout", "soon"], "'soon' is not a number of seconds, more than 0 and at most 86400"),
        (["--timeout", "-1"], "'-1' is not a number of seconds"),
        (["--timeout", "nan"], "'nan' is not a number of seconds"),
        (["--timeout", "inf"], "'inf' is not a number of seconds"),
        (["--fail-level", "warn"], "invalid choice: 'warn'"),
        (["--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_clear_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        execute_from_command_line(["manage.py", "check_health", *words])
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (2, "")
    message, hint = printed.err.splitlines()
    assert said in message
    assert hint == "See manage.py check_health --help."


def test_a_missing_setting_is_exit_code_2_and_one_line() -> None:
    done = run(REDIS_URL="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("REDIS_URL is not set.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("words", [["resources"], ["resources", "--format", "json"], ["--list-probes"]])
def test_a_report_that_cannot_be_written_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "manage.py", "check_health", "--timeout", "60", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, "CommandError: Cannot write the output: No space left on device.\n")


def test_no_answer_before_the_timeout_is_could_not_check() -> None:
    code, output = called("resources", "--timeout", "0.001")
    assert code == 3
    assert "no answer yet" in output


@pytest.mark.parametrize("library", ["qdrant_client", "rest_framework.serializers", "drf_spectacular.openapi"])
def test_the_command_imports_nothing_that_takes_long(library: str, imported: str) -> None:
    assert "health.runs.executor" in imported
    assert library not in imported


@pytest.fixture(scope="module")
def imported() -> str:
    """Return the modules that the command imports, as lines of Python's log."""
    command = [sys.executable, "-X", "importtime", "manage.py", "check_health", "--timeout", "60"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False).stderr


# --- In this process -------------------------------------------------------------------------------------
@pytest.fixture
def foreign() -> Iterator[None]:
    """Register probes in every state."""

    @probe("bug", ttl=1.0)
    def bug() -> None:
        """It has a bug."""
        raise KeyError("hunter2")

    @probe("half", ttl=1.0)
    def half() -> None:
        """It works by halves."""
        raise Degraded("half of it")

    @probe("gone", ttl=1.0)
    def gone() -> None:
        """It is gone."""
        raise Failed("not there")

    yield
    for name in ("bug", "half", "gone"):
        del PROBES[name]


def called(*words: str) -> tuple[int, str]:
    """Return the exit code and standard output."""
    output = StringIO()
    try:
        call_command("check_health", *words, stdout=output)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["half"], 1),
        (["half", "--fail-level", "error"], 0),
        (["gone", "--fail-level", "error"], 1),
        (["half", "gone", "--fail-level", "error"], 1),
        (["resources"], 0),
        (["resources", "half"], 1),
    ],
)
def test_the_fail_level_decides(foreign: None, words: list[str], code: int) -> None:
    assert called(*words)[0] == code


def test_a_probe_with_a_bug_is_could_not_check_and_wins(
    foreign: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    code, output = called("bug", "gone")
    assert code == 3
    assert "unexpected error" in output
    assert "hunter2" not in output + capfd.readouterr().err, "-v 2 tells why"
    called("bug", "-v", "2")
    assert "hunter2" in caplog.text


def test_a_probe_of_another_app_is_known_at_once(foreign: None) -> None:
    output = StringIO()
    call_command("check_health", "--list-probes", stdout=output)
    assert [line.split(maxsplit=1) for line in output.getvalue().splitlines() if line.startswith("half")] == [
        ["half", "It works by halves."]
    ]


@pytest.mark.django_db(transaction=True)
def test_json_is_the_detailed_report() -> None:
    code, output = called("--format", "json")
    body: dict[str, Any] = json.loads(output)
    assert code == 0
    assert list(body)[:4] == ["status", "version", "services", "resources"]
    assert {"config", "integrations", "consistency"} <= set(body)
    assert list(body["services"])[:3] == ["postgres", "redis", "qdrant"]


def test_json_of_named_probes_is_that_part() -> None:
    code, output = called("resources", "sftpgo", "--format", "json")
    body = json.loads(output)
    assert (code, list(body)) == (0, ["status", "version", "resources", "sftpgo", "process"])


@pytest.mark.parametrize(("url", "status"), [("", "disabled"), (f"http://{AWAY}", "error")])
def test_json_of_sftpgo_has_its_status(settings: Settings, url: str, status: str) -> None:
    settings.SFTPGO_URL = url
    _, output = called("sftpgo", "--format", "json")
    assert json.loads(output)["sftpgo"]["status"] == status


@pytest.mark.django_db(transaction=True)
def test_a_probe_without_a_run_is_no_failure(settings: Settings) -> None:
    settings.SFTPGO_URL, settings.TMDB_ENABLED, settings.TMDB_API_KEY = "", True, ""
    settings.MIGRATIONS_DIR = settings.SCRIPTS_DIR = settings.MODELS_DIR = settings.IDENTITIES_DIR = None
    names = ("sftpgo", "tmdb", "schema", "pipeline", "identities")
    _, output = called(*names)
    lines = {line.split()[0]: line for line in output.splitlines() if line}
    assert "disabled: SFTPGO_URL is not set" in lines["sftpgo"]
    assert "not configured: TMDB_API_KEY is not set" in lines["tmdb"]
    assert lines["schema"].split()[1] == "ok"
    assert "MIGRATIONS_DIR is not set" in lines["schema"]
    assert "SCRIPTS_DIR is not set; MODELS_DIR is not set" in lines["pipeline"]
    assert "IDENTITIES_DIR is not set" in lines["identities"]
    assert not [name for name in names if PROBES[name].title in output]


@pytest.mark.parametrize(("runs", "code"), [(3, 0), (1_000_000, 3)])
def test_the_command_waits_until_its_timeout_for_an_unfinished_probe(
    monkeypatch: pytest.MonkeyPatch, runs: int, code: int
) -> None:
    left = iter(range(runs, 0, -1))

    @probe("large", ttl=1.0, registry={})
    def large() -> None:
        """A large file is read."""
        if next(left) > 1:
            raise Unfinished("still being read")

    monkeypatch.setitem(PROBES, "large", large)
    ended, output = called("large", "--timeout", "60" if code == 0 else "0.5")
    assert (ended, "still being read" in output) == (code, code == 3)


def test_the_table_has_no_colours_outside_a_terminal(foreign: None) -> None:
    _, output = called("half")
    assert "\x1b" not in output
    assert "half of it" in output
    assert output.splitlines()[-1] == "Overall: degraded (half decides)"


def test_the_table_has_colours_on_a_terminal(foreign: None) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    for words, coloured in (([], True), (["--no-color"], False)):
        terminal = Terminal()
        with pytest.raises(SystemExit):
            call_command("check_health", "half", *words, stdout=terminal)
        assert ("\x1b[33mdegraded" in terminal.getvalue()) == coloured


def test_help_shows_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        execute_from_command_line(["manage.py", "check_health", "--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert "manage.py check_health --format json | jq .services" in printed
    assert "3  could not check" in printed
