"""The base class of commands: usage errors, signals, output errors and exit codes, in a real process."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import IntegrityError

from common.arguments import InvalidInputError, parse_count
from common.choices import UnknownChoiceError
from common.commands import COULD_NOT_CHECK, FOUND, USAGE, ContinuityCommand

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import signal, sys, time
import django
from django.conf import settings
from common.arguments import parse_count
from common.commands import ContinuityCommand

settings.configure()
django.setup()

class Command(ContinuityCommand):
    epilog = "exit codes:\\n  0  clean"

    def add_arguments(self, parser):
        parser.add_argument("--limit", type=parse_count)

    def run(self, *args, **options):
{body}

{before}
Command().run_from_argv(["manage.py", "sample", *sys.argv[1:]])
"""


@contextmanager
def started(
    body: str, *arguments: str, before: str = "", stdout: int = subprocess.PIPE, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start a command with this body of `run`, and kill the process at the end of the block."""
    script = SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), " " * 8), before=before)
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(body: str, *arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> tuple[int, str | None, str]:
    """Return exit code, stdout and stderr of a command. stdout is None if the test reads another file."""
    with started(body, *arguments, stdout=stdout, **environment) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


# --- Exit codes and usage --------------------------------------------------------------------------------
def test_the_result_of_run_is_the_exit_code() -> None:
    assert ended("self.stdout.write('text')") == (0, "text\n", "")
    assert ended("return 3") == (3, "", "")


def test_a_usage_error_is_one_line_and_the_way_to_help() -> None:
    expected = (
        "manage.py sample: argument --limit: 'x' is not a whole number, 0 or more, of at most 18 digits\n"
        "See manage.py sample --help.\n"
    )
    assert ended("return 0", "--limit", "x") == (USAGE, "", expected)


def test_the_epilog_of_help_keeps_its_lines() -> None:
    code, out, _ = ended("return 0", "--help")
    assert code == 0
    assert "exit codes:\n  0  clean\n" in (out or "")


class Raising(ContinuityCommand):
    """A command that raises an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def add_arguments(self, parser: object) -> None:
        parser.add_argument("--limit", type=parse_count)  # type: ignore[attr-defined]

    def run(self, *args: object, **options: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InvalidInputError("not like that"), USAGE, "not like that"),
        (UnknownChoiceError("check", "stal", ["stale"]), USAGE, "Did you mean 'stale'?"),
        (IntegrityError("a duplicate"), COULD_NOT_CHECK, "PostgreSQL (DATABASE_URL) refused a statement: a duplicate."),
        (CommandError("as it is", returncode=FOUND), FOUND, "as it is"),
    ],
)
def test_an_expected_error_is_one_line(error: Exception, code: int, message: str) -> None:
    with pytest.raises(CommandError) as raised:
        call_command(Raising(error))
    assert raised.value.returncode == code
    assert message in str(raised.value)


def test_an_unexpected_error_is_logged_and_is_3(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        call_command(Raising(KeyError("a bug")))
    assert end.value.code == COULD_NOT_CHECK
    assert "a bug" in caplog.text


def test_wrong_arguments_of_a_call_raise() -> None:
    with pytest.raises(CommandError, match="argument --limit: 'x' is not") as raised:
        call_command(Raising(KeyError()), "--limit", "x")
    assert raised.value.returncode == USAGE


# --- Signals ---------------------------------------------------------------------------------------------
WAITING = """
try:
    print("ready", flush=True)
    for _ in range(600):
        time.sleep(0.1)
finally:
    print("cleaned up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_finalizer_which_python_ignores_ends_the_command_later(number: signal.Signals) -> None:
    body = f"""
    class Dropped:
        def __del__(self):
            signal.raise_signal({number:d})

    Dropped()
    self.stdout.write("goes on")
    self.stdout.flush()
    time.sleep(60)
    """
    code, out, err = ended(body)
    assert (code, out) == (128 + number, "goes on\n")
    assert "Exception ignored in" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_after_its_cleanup(number: signal.Signals) -> None:
    # Under nohup the tests ignore SIGHUP, and so would the process.
    with started(WAITING, before="signal.signal(signal.SIGHUP, signal.SIG_DFL)") as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("cleaned up\n", "")
    assert process.returncode == 128 + number


def test_an_ignored_signal_stays_ignored() -> None:
    body = "signal.raise_signal(signal.SIGHUP)\nreturn 1"
    with started(body, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)") as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 1


def test_the_signal_handlers_are_restored() -> None:
    with pytest.raises(CommandError):
        call_command(Raising(InvalidInputError("x")))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# --- Output ----------------------------------------------------------------------------------------------
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_full_disk_is_one_line(size: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        result = ended(f"self.stdout.write('x' * {size})", stdout=full)
    finally:
        os.close(full)
    assert result == (3, None, "CommandError: Cannot write the output: No space left on device.\n")


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_closed_pipe_is_3_without_a_message(size: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(f"self.stdout.write('x' * {size})", stdout=writing) == (3, None, "")
    finally:
        os.close(writing)


def test_characters_that_the_terminal_lacks_are_escaped() -> None:
    assert ended(r"self.stdout.write('\u6f22')", PYTHONIOENCODING="ascii") == (0, "\\u6f22\n", "")
    assert ended(r"self.stdout.write('\udcff')", PYTHONIOENCODING="utf-8") == (0, "\\udcff\n", "")


# --- Threads ---------------------------------------------------------------------------------------------
STUCK = """
import atexit, os, threading
atexit.register(print, "cleaned up")
threading.Thread(target=open, args=(os.environ["FIFO"],)).start()
print("stuck", flush=True)
"""


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    """Return the path of a FIFO without a writer: opening the FIFO hangs like a disk."""
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


@pytest.mark.parametrize(("ending", "code"), [("return 1", 1), ("return 0", 0), ("raise ValueError", 3)])
def test_a_thread_that_is_stuck_does_not_hold_up_the_end(fifo: str, ending: str, code: int) -> None:
    assert ended(STUCK + ending, FIFO=fifo)[:2] == (code, "stuck\ncleaned up\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_a_stuck_thread(fifo: str, number: signal.Signals) -> None:
    body = f"{STUCK}\nfrom common.bounded import within\nwithin(60, 'fifo', lambda: open(os.environ['FIFO']))"
    with started(body, FIFO=fifo) as process:
        assert process.stdout
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("cleaned up\n", "")
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    "name", [name for name, app in get_commands().items() if app.startswith(("config.", "health", "consistency"))]
)
def test_every_help_text_names_its_subject_before_the_default(name: str) -> None:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    texts = [parser.description or "", *(action.help or "" for action in parser._actions)]
    assert not [text for text in texts if text.startswith("default") or ". Changes" in text]
