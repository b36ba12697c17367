"""Limits of the server's, and ours: none of the former breaks a recording, and no wait is without one of the latter."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.db.models import Func, Value

from consistency.history.writing import WRITE_SECONDS, Memory
from consistency.models import File
from consistency.models.history import Scan
from consistency.scan.transaction import patient
from tests.consistency.conftest import Define, moved_to
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, holding, news
from tests.consistency.notices.test_delivery import tracebacks
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


# --- Ours ------------------------------------------------------------------------------------------------
def test_no_wait_of_a_recording_is_endless_and_its_lock_lasts_from_the_scan_to_its_last_row() -> None:
    memory = Memory("default", trigger="command", actor="tester", seconds=7)
    with closing(memory), memory.connection.cursor() as cursor:
        cursor.execute("SELECT name, setting::int / 1000 FROM pg_settings WHERE name LIKE '%%_timeout' AND unit = 'ms'")
        limits = dict(cursor.fetchall())
    assert 0 < limits["lock_timeout"] <= 10
    assert 0 < limits["statement_timeout"] <= WRITE_SECONDS
    assert limits["idle_in_transaction_session_timeout"] >= 7 + WRITE_SECONDS


def test_a_table_that_a_migration_holds_is_not_waited_for_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consistency.history.writing.LOCK_TIMEOUT", "200ms")
    a_file("a", "processing")
    with holding("LOCK TABLE consistency_scan IN ACCESS EXCLUSIVE MODE"):
        code, out, err = run(STALE)
    assert (code, "job_id is null" in out) == (1, True)
    assert err == "Not recorded: another session holds Continuity's tables locked. Try again.\n"


# --- PostgreSQL's transaction_timeout --------------------------------------------------------------------
LIMIT, LONGER = 0.4, 1.0
"""Seconds."""


@pytest.fixture
def limited(database_url: str) -> Iterator[None]:
    """The database as a role has it whose transactions may take so long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_timeout', true)")
        if cursor.fetchone() == (None,):
            pytest.skip("only PostgreSQL 17 and later have transaction_timeout")
    with moved_to(f"{database_url}?options=-c%20transaction_timeout%3D{int(LIMIT * 1000)}"):
        yield


def test_a_scan_that_takes_longer_than_transactions_may_is_whole_and_recorded(limited: None, define: Define) -> None:
    def slow() -> Any:
        return File.objects.alias(slept=Func(Value(LONGER), function="pg_sleep")).filter(slept__isnull=False)

    define("slow", slow)
    a_file("a", "processing")
    assert news(STALE, "slow") == (2, 0, 0, 0)


@pytest.mark.parametrize("how", ["text", "ndjson"])
def test_two_looks_are_further_apart_than_transactions_may_take(limited: None, how: str) -> None:
    a_file("a", "processing")
    assert run(STALE, "--confirm", f"{LONGER:.0f}s", "--format", how)[::2] == (1, "")
    assert Scan.objects.get().complete


def test_who_reads_the_memory_may_take_longer_than_transactions_may(limited: None) -> None:
    with patient(connection, 20, locks=1), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [LONGER])
        cursor.execute("SELECT 1")


def test_a_recording_that_is_ended_all_the_same_is_a_line_and_no_traceback(
    limited: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("consistency.history.writing.WITHOUT_TRANSACTION_TIMEOUT", "NULL")
    a_file("a", "processing")
    code, _, err = run(STALE, "--confirm", f"{LONGER:.0f}s")
    assert (code, err) == (1, "Not recorded: database 'default' has a transaction_timeout that is too short.\n")
    assert not tracebacks(caplog)
