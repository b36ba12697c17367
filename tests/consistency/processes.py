"""The command, as a process of its own, as cron runs it, or within this one, which is quicker."""

import io
import os
import subprocess
import sys
from typing import Any

from django.core.management import CommandError, call_command

from config.demo.process import ROOT

UNREACHABLE = "postgres://nobody:secret@127.0.0.1:1/nowhere"


def manage(*arguments: str, database_url: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`manage.py` with these arguments on this database; what it wrote and how it ended."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "PYTHONWARNINGS": "ignore"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def check_consistency(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """`manage.py check_consistency`."""
    return manage("check_consistency", *arguments, **more)


def run(*arguments: str) -> tuple[int, str, str]:
    """The command within this process: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("check_consistency", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    except CommandError as problem:
        return problem.returncode, out.getvalue(), str(problem)
    return 0, out.getvalue(), err.getvalue()
