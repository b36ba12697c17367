"""The documented line for cron, run as cron runs the line: by sh, with a nearly empty environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

from config.demo.process import ROOT
from consistency.models.history import Scan
from tests.consistency.data import a_file, delete_files
from tests.documents import block

NEEDED = ("SECRET_KEY", "ALLOWED_HOSTS", "REDIS_URL", "QDRANT_URL")


def crontab_command() -> str:
    """Return the command after the five fields of the time."""
    line = re.fullmatch(r"(?:\S+ +){5}(.*)\n", block("crontab"))
    assert line
    return line[1]


def as_cron(command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as cron does; cron would mail the output."""
    environment = {"HOME": "/", "LOGNAME": "nobody", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_line_prints_no_output_while_clean_records_each_scan_and_prints_findings(
    database_url: str, tmp_path: Path
) -> None:
    variables = {name: os.environ[name] for name in NEEDED} | {"DATABASE_URL": database_url}
    settings = tmp_path / "continuity.env"
    settings.write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
    command = crontab_command()
    assert "%" not in command, "cron would end the line there"
    for told, here in (
        ("/srv/continuity", str(ROOT)),
        ("/etc/continuity.env", str(settings)),
        (".venv/bin/python", sys.executable),
    ):
        assert told in command
        command = command.replace(told, here)
    done = as_cron(command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not Scan.objects.get().affected_files
    a_file("a", "processing")
    done = as_cron(command)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 found" in done.stdout
    assert done.stdout.endswith("\n2 new, 0 returned, 0 resolved\n")
    delete_files()
    assert as_cron(command).stdout == ""
    assert list(Scan.objects.order_by("pk").values_list("new", "resolved")) == [(0, 0), (2, 0), (0, 2)]
