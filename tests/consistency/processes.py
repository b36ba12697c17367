"""Run commands in a process of their own, as cron does, or within this process, which is faster."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.management import CommandError, call_command

from config.demo.process import ROOT

UNREACHABLE = "postgres://nobody:secret@127.0.0.1:1/nowhere"


def manage(*arguments: str, database_url: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `manage.py` with these arguments on this database."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "PYTHONWARNINGS": "ignore"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def started(
    *command: str, stdout: int | tuple[int, int], url: str, **environment: str
) -> "Iterator[subprocess.Popen[str]]":
    """Start `manage.py`, and kill the process at the end: a remaining scan would hold the lock of other tests.

    A pair of files as `stdout` is for stdout and stderr. Without a pair, stderr is a pipe.
    """
    out, err = stdout if isinstance(stdout, tuple) else (stdout, subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url} | environment,
        stdout=out,
        stderr=err,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Ended:
    """Result of one command of several."""

    code: int
    out: str
    err: str


ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from manage import main
ended = []
for command in json.loads(sys.argv[1]):
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["manage.py", *command])
        except SystemExit as end:
            code = int(end.code or 0)
    ended.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(ended))
"""


def manage_each(*commands: list[str], database_url: str, **environment: str) -> list[Ended]:
    """Run several `manage.py` commands in one process: the start of a process takes longer than most commands."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "PYTHONWARNINGS": "ignore"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [Ended(*one) for one in json.loads(done.stdout)]


def check_consistency(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run `manage.py check_consistency`."""
    return manage("check_consistency", *arguments, **more)


def run(*arguments: str) -> tuple[int, str, str]:
    """Run check_consistency within this process; return exit code, stdout and stderr."""
    return within("check_consistency", *arguments)


def within(command: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command within this process; return exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    except CommandError as problem:
        return problem.returncode, out.getvalue(), str(problem)
    return 0, out.getvalue(), err.getvalue()
