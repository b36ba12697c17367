"""A recorded scan sends its notice, and stderr names the scan, though a signal interrupts the command."""

import json
import signal
from typing import Any

import pytest
from django.db import connections

from consistency.models.history import Scan
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE
from tests.consistency.notices.receivers import Receive
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


def interrupt(*_: Any, **__: Any) -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("how", ["text", "json"])
def test_a_signal_right_after_the_commit_does_not_lose_the_notice(
    monkeypatch: pytest.MonkeyPatch, receive: Receive, how: str
) -> None:
    got = receive(200)
    a_file("a", "processing")
    printed = {"text": "report_text", "json": "report_data"}[how]
    monkeypatch.setattr(f"consistency.management.commands.check_consistency.{printed}", interrupt)
    code, out, err = run(STALE, "--format", how)
    number = Scan.objects.get().pk
    assert (code, out, err) == (128 + signal.SIGTERM, "", f"Ended early: scan {number} is recorded.\n")
    [(_, body)] = got
    assert json.loads(body)["recorded"]["scan"] == number


def test_retention_runs_after_the_report_and_the_notice(monkeypatch: pytest.MonkeyPatch, receive: Receive) -> None:
    got = receive(200)
    a_file("a", "processing")
    monkeypatch.setattr("consistency.management.commands.check_consistency.prune", interrupt)
    code, out, err = run(STALE)
    assert (code, len(got)) == (128 + signal.SIGTERM, 1)
    assert out.endswith("1 new, 0 returned, 0 resolved\n")
    assert err == f"Ended early: scan {Scan.objects.get().pk} is recorded.\n"


def test_a_dry_run_that_is_interrupted_has_recorded_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("a", "processing")
    monkeypatch.setattr("consistency.management.commands.check_consistency.report_text", interrupt)
    assert run(STALE, "--dry-run-notices")[2] == "Ended early: nothing is recorded.\n"
    assert not Scan.objects.exists()


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_an_unreachable_database_is_recorded_and_reported(
    monkeypatch: pytest.MonkeyPatch, receive: Receive, how: str
) -> None:
    got = receive(200)
    monkeypatch.setitem(connections.databases, "away", connections.databases["default"] | {"PORT": "1"})
    code, out, err = run(STALE, "--database", "away", "--format", how)
    away = "Database 'away': PostgreSQL is not reachable. Is it running, and is its URL right?"
    assert (code, err.strip(), out == "") == (3, away, how == "text")
    scan = Scan.objects.get()
    assert (scan.database, scan.complete, scan.snapshot_at) == ("away", False, None)
    assert list(scan.checks.values_list("outcome", "error")) == [("could_not_run", "PostgreSQL is not reachable")]
    [(_, body)] = got
    assert json.loads(body)["changes"][0]["change"] == "worse"
    connections["away"].close()
    del connections["away"]
