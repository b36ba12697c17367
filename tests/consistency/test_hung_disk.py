"""A hung disk costs an external check its result, and a request or a command its budget."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework_api_key.models import APIKey

from config.demo.process import until
from consistency.api import views
from consistency.history.scanning import read_scan
from consistency.registry import CHECKS, Check, Finding
from identities.models import Identity
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE
from tests.consistency.processes import started

pytestmark = pytest.mark.usefixtures("transactional_db")

STUCK = "a disk or the network gives no answer within "
# `sitecustomize` of a command: listing the folder of the identities hangs like a mount.
HUNG_MOUNT = """
import os
scandir = os.scandir
def hang(path="."):
    if os.fspath(path) == os.environ["IDENTITIES_DIR"]:
        open(os.path.join(path, "reached"), "w").close()
        open(os.path.join(path, "fifo")).close()
    return scandir(path)
os.scandir = hang
"""


class Disk:
    """A check that opens a FIFO without writer, as a check opens a file of a hung mount."""

    def __init__(self, define: Define, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self.check: Check = define("outside", self.findings, detail=None)

    def findings(self, using: str) -> Any:
        """A thing is missing"""
        self.path.read_bytes()
        yield Finding(object_type="thing", object_id="1", detail="missing")

    def error(self, **options: Any) -> str:
        [outcome] = read_scan([self.check], **options).outcomes
        return outcome.error or ""


@pytest.fixture
def disk(define: Define, tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(define, tmp_path / "fifo")
    yield disk
    disk.path.unlink()
    disk.path.touch()


def eventually(holds: Callable[[], bool]) -> bool:
    return any(holds() for _ in until(20))


def come_back(disk: Disk) -> None:
    """End the hanging calls."""
    writer = os.open(disk.path, os.O_WRONLY | os.O_NONBLOCK)
    disk.path.unlink()
    disk.path.touch()
    os.close(writer)


def backends() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        number: int = cursor.fetchone()[0]
    return number


def test_fifty_scans_of_a_hung_disk_leave_one_thread_and_no_backend(disk: Disk, left_behind: Callable[[], int]) -> None:
    before = backends()
    begin = time.monotonic()
    errors = [disk.error(timeout=1.0) for _ in range(50)]
    assert time.monotonic() - begin < 40
    assert all(error.startswith(STUCK) for error in errors)
    assert left_behind() == 1
    assert eventually(lambda: backends() <= before)
    come_back(disk)
    assert eventually(lambda: not left_behind())
    assert disk.error() == ""


def test_the_other_checks_of_a_request_are_answered_in_time(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("stale", "processing")
    monkeypatch.setattr(views, "SCAN_TIMEOUT", 2.0)
    _, key = APIKey.objects.create_key(name="tests")
    begin = time.monotonic()
    answer = Client(headers={"X-API-Key": key}).get(f"/health/consistency?check=outside,{STALE}", secure=True)
    assert time.monotonic() - begin < 8
    checks = {check["check"]: check for check in answer.json()["checks"]}
    assert checks["outside"]["error"].startswith(STUCK)
    assert checks[STALE]["count"] == 1
    come_back(disk)


def test_postgresql_is_not_blamed_for_a_slow_disk(define: Define) -> None:
    def slow(using: str) -> Any:
        """Reads a slow disk, then the database"""
        time.sleep(0.7)  # the budget is 0.9 s, that of PostgreSQL 0.6 s
        keys = Identity.objects.values_list("pk", flat=True)
        yield from (Finding(object_type="thing", object_id=key, detail="") for key in keys)

    [outcome] = read_scan([define("slow", slow, detail=None)], timeout=1.0).outcomes
    assert outcome.error
    assert outcome.error.startswith(("timed out after 0.9 s", STUCK))


def test_identities_on_a_hung_mount_could_not_be_compared(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path, left_behind: Callable[[], int]
) -> None:
    back, scandir = threading.Event(), os.scandir
    settings.IDENTITIES_DIR = tmp_path
    monkeypatch.setattr(os, "scandir", lambda path=".": (back.wait(60), scandir(path))[1])
    for _ in range(3):
        outcomes = read_scan([CHECKS["identity_file_missing"], CHECKS["identity_row_missing"]], timeout=1.0).outcomes
        assert all((outcome.error or "").startswith(STUCK) for outcome in outcomes)
    assert left_behind() == 2  # a thread per check
    back.set()
    assert eventually(lambda: not left_behind())


# --- Commands --------------------------------------------------------------------------------------------
@pytest.fixture
def hung_mount(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a command with a hung folder of identities."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sitecustomize.py").write_text(HUNG_MOUNT)
    return {"IDENTITIES_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path)}


def scan(seconds: str, url: str, environment: dict[str, str]) -> AbstractContextManager["subprocess.Popen[str]"]:
    options = ("identity_file_missing", "--timeout", seconds, "--format", "json", "--no-record")
    return started("check_consistency", *options, stdout=subprocess.PIPE, url=url, **environment)


def test_a_command_at_a_hung_mount_reports_and_ends(hung_mount: dict[str, str], database_url: str) -> None:
    with scan("2", database_url, hung_mount) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (3, "")
    [check] = json.loads(out)["checks"]
    assert check["error"].startswith(STUCK)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_at_a_hung_mount(
    hung_mount: dict[str, str], database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    with scan("600", database_url, hung_mount) as process:
        assert eventually((tmp_path / "reached").exists)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "Ended early: nothing is recorded.\n")
