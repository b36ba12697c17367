"""Timeouts of the server do not break a recording, and no wait of a recording is endless."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Func, Value

from consistency.history import recorder as recorder_module
from consistency.history.locks import bounded_transaction
from consistency.history.recorder import LOCK_TIMEOUT, WRITE_TIMEOUT, Recorder
from consistency.models import File
from consistency.models.history import Scan
from tests.consistency.conftest import Define, moved_to
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, changes, holding
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def settings_of_a_recording() -> Iterator[dict[str, str]]:
    values: dict[str, str] = {}

    class Inspected(Recorder):
        def _begin(self) -> None:
            super()._begin()
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT name, setting FROM pg_settings")
                values.update(cursor.fetchall())

    with Inspected("default", trigger="command", actor="tester", seconds=7):
        yield values


def test_no_wait_of_a_recording_is_endless_and_its_lock_lasts_from_the_scan_to_the_last_row(
    settings_of_a_recording: dict[str, str],
) -> None:
    def seconds(name: str) -> float:
        return int(settings_of_a_recording[name]) / 1000

    assert seconds("lock_timeout") == LOCK_TIMEOUT
    assert seconds("statement_timeout") == WRITE_TIMEOUT
    assert seconds("idle_in_transaction_session_timeout") == 7 + WRITE_TIMEOUT


def test_no_statement_of_a_recording_compares_each_finding_with_each_anomaly(
    settings_of_a_recording: dict[str, str],
) -> None:
    """Old statistics mislead the planner after a mass change: only hash joins stay linear."""
    assert [settings_of_a_recording[f"enable_{join}"] for join in ("nestloop", "mergejoin")] == ["off", "off"]


def test_a_recording_gives_up_on_a_table_that_a_migration_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "LOCK_TIMEOUT", 0.2)
    a_file("a", "processing")
    with holding("LOCK TABLE consistency_scancheck IN ACCESS EXCLUSIVE MODE"):
        code, out, err = run(STALE)
    assert (code, "job_id is null" in out) == (1, True)
    assert err == "Not recorded: history in database 'default': another session has locked a table.\n"


# --- PostgreSQL's transaction_timeout --------------------------------------------------------------------
LIMIT, LONGER = 0.4, 1.0
"""Seconds."""


@pytest.fixture
def limited(database_url: str) -> Iterator[None]:
    """Connect as a role whose transactions may take LIMIT seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_timeout', true)")
        if cursor.fetchone() == (None,):
            pytest.skip("only PostgreSQL 17 and later have transaction_timeout")
    with moved_to(f"{database_url}?options=-c%20transaction_timeout%3D{int(LIMIT * 1000)}"):
        yield


def test_a_scan_longer_than_transaction_timeout_is_whole_and_recorded(limited: None, define: Define) -> None:
    def slow() -> Any:
        return File.objects.alias(slept=Func(Value(LONGER), function="pg_sleep")).filter(slept__isnull=False)

    define("slow", slow)
    a_file("a", "processing")
    assert changes(STALE, "slow") == (2, 0, 0, 0)


@pytest.mark.parametrize("how", ["text", "ndjson"])
def test_the_pause_between_two_passes_is_longer_than_transaction_timeout(limited: None, how: str) -> None:
    a_file("a", "processing")
    assert run(STALE, "--confirm", f"{LONGER:.0f}s", "--format", how)[::2] == (1, "")
    assert Scan.objects.get().complete


def test_reading_the_history_takes_longer_than_transaction_timeout(limited: None) -> None:
    with bounded_transaction(20, lock_timeout=1), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [LONGER])
        cursor.execute("SELECT 1")


def test_a_recording_that_transaction_timeout_ends_is_a_line_and_no_traceback(
    limited: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("common.postgres.parameters.NO_TRANSACTION_TIMEOUT", "NULL")
    a_file("a", "processing")
    code, _, err = run(STALE, "--confirm", f"{LONGER:.0f}s")
    problem = "history in database 'default': transaction_timeout of the database is too short"
    assert (code, err) == (1, f"Not recorded: {problem}.\n")
    assert not [record for record in caplog.records if record.exc_info]
