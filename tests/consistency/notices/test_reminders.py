"""Reminders: one notice on the last day of an acknowledgement or mute."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from consistency.history.scanning import record_scan
from consistency.history.suppression import acknowledge, mute, unmute
from consistency.models.history import Anomaly, Mute, Scan
from consistency.notices.notice import Notice, notice_of
from tests.consistency.data import a_file, delete_files
from tests.consistency.notices.data import pk_of, scan_notice, stale
from tests.consistency.notices.receivers import Receive
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")

HOUR = timedelta(hours=1)


def pass_time(time: timedelta) -> None:
    """Move every stored time into the past, as if the time had passed since."""
    Scan.objects.update(recorded_at=F("recorded_at") - time, snapshot_at=F("snapshot_at") - time)
    names = ("acknowledged_at", "acknowledged_until", "appeared_at", "first_seen")
    Anomaly.objects.update(**{name: F(name) - time for name in names})
    Mute.objects.update(created_at=F("created_at") - time, until=F("until") - time)


def suppress(length: timedelta) -> None:
    """Record three findings. Ann acknowledges two, bob the third, ada mutes a check."""
    for name in ("a", "b", "c"):
        a_file(name, "processing")
    scan_notice()
    until = timezone.now() + length
    acknowledge([pk_of("a"), pk_of("b")], until=until, by="ann", reason="known")
    acknowledge([pk_of("c")], until=until, by="bob", reason="known")
    mute("unknown_status", until=until, by="ada", reason="known", sticky=True)


def remind(**options: Any) -> Notice:
    notice = scan_notice(**options)
    assert notice
    return notice


def test_one_notice_on_the_last_day_counts_acknowledgements_and_names_mutes_and_authors() -> None:
    suppress(7 * 24 * HOUR)
    assert scan_notice() is None
    pass_time(6 * 24 * HOUR - HOUR)
    assert scan_notice() is None, "two hours more than a day is left"
    pass_time(2 * HOUR)
    notice = remind()
    assert notice.subject == (
        "Consistency ok: 3 acknowledgements end within a day, 1 mute ends within a day (database default)"
    )
    body = notice.as_dict()
    [made] = Mute.objects.all()
    assert body["changes"] == []
    assert body["ending"] == {
        "acknowledgements": [{"by": "ann", "count": 2}, {"by": "bob", "count": 1}],
        "mutes": [{"check": "unknown_status", "by": "ada", "until": f"{made.until:%Y-%m-%dT%H:%M:%SZ}"}],
    }
    for line in ("2 acknowledgements end soon, by ann", "1 acknowledgement ends soon, by bob"):
        assert line in notice.text
    assert f"the mute of unknown_status by ada ends at {made.until:%Y-%m-%d %H:%M} UTC" in notice.text
    assert scan_notice() is None, "reminded once"


def test_a_suppression_of_at_most_a_day_has_no_reminder() -> None:
    suppress(24 * HOUR)
    assert scan_notice() is None
    pass_time(HOUR)
    assert scan_notice() is None


def test_a_suppression_that_ended_early_has_no_reminder() -> None:
    suppress(3 * 24 * HOUR)
    delete_files()
    unmute("unknown_status")
    scan_notice()
    pass_time(2 * 24 * HOUR + HOUR)
    assert scan_notice() is None


def test_a_reminder_stands_beside_changes_and_has_only_its_database() -> None:
    suppress(3 * 24 * HOUR)
    Mute.objects.update(database="replica")
    pass_time(2 * 24 * HOUR + HOUR)
    a_file("new", "processing")
    notice = remind()
    assert notice.subject == (
        "Consistency degraded: 1 check new, 3 acknowledgements end within a day (database default)"
    )
    assert notice.as_dict()["ending"]["mutes"] == []


def test_after_a_pause_of_the_scans_only_future_ends_are_named() -> None:
    suppress(3 * 24 * HOUR)
    Mute.objects.update(until=F("until") + 2 * HOUR)
    pass_time(3 * 24 * HOUR + HOUR)
    ending = remind().as_dict()["ending"]
    assert (ending["acknowledgements"], len(ending["mutes"])) == ([], 1)


def test_a_dry_run_shows_the_reminder_and_does_not_use_it_up(receive: Receive) -> None:
    received = receive(200)
    suppress(3 * 24 * HOUR)
    pass_time(2 * 24 * HOUR + HOUR)
    for _ in range(2):
        assert "3 acknowledgements end within a day" in run("--dry-run-notices", "stale_processing")[1]
    assert received == []
    run("stale_processing")
    assert len(received) == 1
    assert notice_of(record_scan(stale(), trigger="command")) is None
