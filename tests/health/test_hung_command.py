"""check_health at a hung disk and a hung name server ends in time, and obeys signals."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consistency.processes import started
from tests.health.conftest import eventually

# `sitecustomize` of the command: the folder of the scripts and the name server hang.
HUNG = """
import os, socket
def hang(whole, stuck):
    def call(*arguments, **options):
        if arguments and arguments[0] == stuck:
            open(os.environ["SCRIPTS_DIR"] + "/reached", "w").close()
            open(os.environ["SCRIPTS_DIR"] + "/fifo").close()
        return whole(*arguments, **options)
    return call
socket.getaddrinfo = hang(socket.getaddrinfo, "stuck.invalid")
scandir = os.scandir
os.scandir = lambda path=".": hang(scandir, os.environ["SCRIPTS_DIR"])(os.fspath(path))
"""


@pytest.fixture
def command(tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """Start check_health."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sitecustomize.py").write_text(HUNG)
    folder = str(tmp_path)
    environment = {"SCRIPTS_DIR": folder, "PYTHONPATH": folder, "REDIS_URL": "redis://stuck.invalid:6379/0"}
    options = ("pipeline", "redis", "--format", "json", "--timeout", "30")
    url = os.environ["DATABASE_URL"]
    with started("check_health", *options, stdout=subprocess.PIPE, url=url, **environment) as process:
        yield process


def test_it_reports_and_ends(command: "subprocess.Popen[str]") -> None:
    out, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (1, "")
    report = json.loads(out)
    assert report["pipeline"]["error"].startswith("no answer within")
    assert report["services"]["redis"]["error"].startswith("no answer within")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(command: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals) -> None:
    assert eventually((tmp_path / "reached").exists, 60)
    command.send_signal(number)
    command.communicate(timeout=60)
    assert command.returncode in (128 + number, 1)  # 1 if the report was ready
