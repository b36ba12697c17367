"""The end of commands after a closed pipe, a full disk or a signal: one line, without remaining files or rows."""

import http.server
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from config.demo.process import ROOT
from consistency.models.history import Scan
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, holding, recorded
from tests.consistency.processes import started

pytestmark = pytest.mark.usefixtures("transactional_db")


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def unread() -> int:
    """Return a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


FULL = "CommandError: Cannot write the output: No space left on device.\n"


@pytest.mark.parametrize("command", [("show_anomalies", "--format", "json"), ("check_consistency", "--format", "csv")])
def test_a_full_disk_is_one_line_and_an_unread_pipe_none(database_url: str, command: tuple[str, ...]) -> None:
    a_file("a", "processing")
    recorded()
    for out, told in ((full(), FULL), (unread(), "")):
        with started(*command, stdout=out, url=database_url) as process:
            os.close(out)
            assert (process.communicate(timeout=60)[1], process.returncode) == (told, 3)


def test_closed_standard_output_leaves_the_exit_code(database_url: str) -> None:
    a_file("a", "processing")
    closed = ["sh", "-c", '"$0" manage.py check_consistency stale_processing >&-', sys.executable]
    ended = subprocess.run(
        closed, cwd=ROOT, env=os.environ | {"DATABASE_URL": database_url}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert Scan.objects.count() == 1


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """Start a receiver; yield its address and the list of its requests."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()


def test_the_notice_of_a_recorded_scan_is_sent_though_the_pipe_is_closed(
    database_url: str, webhook: tuple[str, list[bytes]]
) -> None:
    a_file("a", "processing")
    url, bodies = webhook
    settings = {"CONSISTENCY_WEBHOOK_URL": url, "CONSISTENCY_WEBHOOK_SECRET": "s" * 32}
    out = unread()
    with started("check_consistency", STALE, stdout=out, url=database_url, **settings) as process:
        os.close(out)
        assert (process.communicate(timeout=60)[1], process.returncode) == ("", 3)
    [body] = bodies
    assert json.loads(body)["recorded"]["scan"] == Scan.objects.get().pk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_passes_leaves_neither_rows_nor_files(
    database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    a_file("a", "processing")
    options = ("--confirm", "60s", "--format", "csv", "--output", str(tmp_path / "report.csv"))
    with started("check_consistency", *options, stdout=subprocess.DEVNULL, url=database_url) as process:
        until = time.monotonic() + 60
        while not (any(tmp_path.iterdir()) and _is_locked()):
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(number)
        assert process.communicate(timeout=30)[1] == "Ended early: nothing is recorded.\n"
    assert process.returncode == 128 + number
    assert (list(tmp_path.iterdir()), Scan.objects.count()) == ([], 0)


def _is_locked() -> bool:
    """Return True while a scan is recorded."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)")
        found: bool = cursor.fetchone()[0]
    return found


def test_characters_outside_the_encoding_of_the_terminal_are_escaped(database_url: str) -> None:
    a_file("漢", "processing")
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    with started("check_consistency", STALE, stdout=subprocess.PIPE, url=database_url, **ascii_only) as process:
        out, err = process.communicate(timeout=60)
    assert (err, process.returncode) == ("", 1)
    assert "\\u6f22.mp4" in out


def test_on_a_terminal_the_bar_says_that_the_scan_is_being_recorded(database_url: str) -> None:
    seen, terminal = os.openpty()
    with (
        holding("LOCK TABLE consistency_scan IN EXCLUSIVE MODE"),
        started("check_consistency", stdout=(subprocess.DEVNULL, terminal), url=database_url, TERM="xterm"),
    ):
        os.close(terminal)
        told = b""
        while b"recording" not in told and select.select([seen], [], [], 60)[0]:
            told += os.read(seen, 4096)
    os.close(seen)
    assert b"recording" in told
