"""Another session holds tables of the history: scans and commands give up after a bounded time, and say so."""

import time

import pytest

from consistency.history.suppression import mute
from consistency.management import shared
from consistency.models.history import Mute, Scan
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, holding, in_days, recorded
from tests.consistency.notices.receivers import Receive
from tests.consistency.processes import run, within

pytestmark = pytest.mark.usefixtures("transactional_db")

LOCKED = "another session has locked a table"
TIME_LIMIT = 20.0
"""Generous seconds for a busy machine."""


@pytest.mark.parametrize("confirm", ["0s", "1s"])
def test_without_readable_suppressions_nothing_is_recorded(receive: Receive, confirm: str) -> None:
    a_file("a", "processing")
    recorded()
    got = receive(200)
    mute(STALE, until=in_days(1), by="ana", reason="known")
    with holding("LOCK TABLE consistency_mute IN ACCESS EXCLUSIVE MODE"):
        code, out, err = run(STALE, "--confirm", confirm)
    assert (code, err) == (1, f"Not recorded: suppressions could not be read: {LOCKED}.\n")
    assert "job_id is null" in out
    assert (Scan.objects.count(), Mute.objects.get().ended_at, got) == (1, None, [])
    assert (run(STALE)[0], got) == (0, [])


@pytest.mark.parametrize(
    ("command", "table"),
    [
        (("show_anomalies",), "consistency_mute"),
        (("show_scans",), "consistency_scan"),
        (("mute_check", STALE, "--for", "1d", "--reason", "x"), "consistency_mute"),
        (("unmute_check", STALE), "consistency_mute"),
    ],
)
def test_a_command_gives_up_on_a_locked_table_and_says_so(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], table: str
) -> None:
    monkeypatch.setattr(shared, "LOCK_TIMEOUT", 0.2)
    a_file("a", "processing")
    recorded()
    begun = time.monotonic()
    with holding(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        assert within(*command) == (3, "", f"PostgreSQL (DATABASE_URL) refused a statement: {LOCKED}.")
    assert time.monotonic() - begun < TIME_LIMIT
