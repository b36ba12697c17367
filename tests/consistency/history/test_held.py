"""Somebody else holds our tables, or the disk is full: nobody is waited for without bound, and nothing is made up."""

import time

import pytest

from consistency.history.retention import prune
from consistency.history.suppression import mute
from consistency.management import shared
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, holding, in_days, recorded
from tests.consistency.notices.receivers import Receive
from tests.consistency.processes import run, within

pytestmark = pytest.mark.usefixtures("transactional_db")

LOCKED = "another session has locked a table"
BOUND = 20.0
"""Seconds: generous, and short of for ever."""


@pytest.mark.parametrize("confirm", ["0s", "1s"])
def test_a_silence_that_cannot_be_read_is_not_taken_for_none(receive: Receive, confirm: str) -> None:
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
def test_a_command_gives_a_locked_table_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], table: str
) -> None:
    monkeypatch.setattr(shared, "LOCK_TIMEOUT", 0.2)
    a_file("a", "processing")
    recorded()
    begun = time.monotonic()
    with holding(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        assert within(*command) == (3, "", f"PostgreSQL (DATABASE_URL) refused a statement: {LOCKED}.")
    assert time.monotonic() - begun < BOUND


# --- Forgetting ------------------------------------------------------------------------------------------
def test_a_scan_of_which_somebody_holds_a_row_is_forgotten_later() -> None:
    a_file("a", "processing")
    for _ in range(4):
        recorded()
    first, held, gone, last = Scan.objects.order_by("pk").values_list("pk", flat=True)
    Scan.objects.exclude(pk=last).update(recorded_at=in_days(-1000))
    begun = time.monotonic()
    with holding(f"SELECT FROM consistency_scancheck WHERE scan_id = {held} FOR UPDATE"):
        prune()
    assert time.monotonic() - begun < BOUND
    assert set(Scan.objects.values_list("pk", flat=True)) == {first, held, last}
    assert ScanCheck.objects.count() == 3
    assert gone
    prune()
    assert set(Scan.objects.values_list("pk", flat=True)) == {first, last}


@pytest.mark.parametrize("table", ["scan", "anomaly"])
def test_a_table_that_somebody_holds_is_not_waited_for_to_forget(table: str) -> None:
    a_file("a", "processing")
    recorded()
    File.objects.all().delete()
    recorded()
    Anomaly.objects.update(resolved_at=in_days(-1000))
    begun = time.monotonic()
    with holding(f"LOCK TABLE consistency_{table} IN ACCESS EXCLUSIVE MODE"):
        prune()
    assert time.monotonic() - begun < BOUND
    assert Anomaly.objects.exists()
    prune()
    assert not Anomaly.objects.exists()
