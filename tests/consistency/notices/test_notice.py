"""Notices: the changes of a check that deserve a message."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from consistency.history.changes import Changes
from consistency.history.suppression import unmute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.notices.notice import NEW, RECOVERED, RUNNING_AGAIN, WORSE, kind_of
from consistency.registry import CheckError
from consistency.scan.report import Outcome
from consistency.scan.selection import select_checks
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, delete_files
from tests.consistency.notices.data import (
    LATER,
    acknowledge_file,
    end_by_hand,
    expire,
    kinds,
    mute_check,
    one_open_one_known,
    repair,
    scan_notice,
)

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_new_and_returned_findings_are_reported_once_and_ongoing_findings_never() -> None:
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW]
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    repair("two")
    assert kinds() == [], "fewer, but not recovered"
    delete_files()
    assert kinds() == [RECOVERED]
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW], "returned"


def test_info_is_not_reported() -> None:
    a_file("one", "unregistered")
    assert kinds(select_checks(["unregistered_with_uuid"])) == []


def test_a_muted_check_is_not_reported_and_the_end_of_the_mute_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute_check(sticky=True)
    assert kinds() == [], "muted is not recovered"
    a_file("two", "processing")
    assert kinds() == []
    delete_files()
    assert kinds() == []
    a_file("three", "processing")
    assert kinds() == []
    unmute("stale_processing")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_an_exceeded_mute_is_reported() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute_check()
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    assert Mute.objects.get().ended_because == "exceeded"


@pytest.mark.parametrize("mutes", [True, False])
def test_a_repair_recovers_the_check_if_the_rest_was_suppressed_just_now(mutes: bool) -> None:
    a_file("one", "processing")
    a_file("two", "processing")
    assert kinds() == [NEW]
    mute_check() if mutes else acknowledge_file("one")
    repair("two")
    assert kinds() == [RECOVERED], "suppressed findings are never reported again: now is the time to close an incident"
    delete_files()
    assert kinds() == []


def test_an_acknowledged_finding_is_not_reported_and_the_end_of_the_acknowledgement_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    acknowledge_file("one")
    assert kinds() == [], "acknowledged is not recovered"
    Anomaly.objects.update(acknowledged_until=timezone.now() - LATER)
    assert kinds() == [WORSE]


def test_the_end_of_an_acknowledgement_is_reported_though_another_finding_is_repaired() -> None:
    one_open_one_known()
    expire("known")
    repair("open")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_the_end_of_an_acknowledgement_is_reported_though_another_begins() -> None:
    one_open_one_known()
    expire("known")
    acknowledge_file("open")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_another_detail_ends_an_acknowledgement_and_is_reported() -> None:
    one_open_one_known()
    Anomaly.objects.filter(object_id="known").update(detail="an earlier detail")
    repair("open")
    assert kinds() == [WORSE]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([(end_by_hand, "known"), (repair, "open")], [WORSE]),
        ([(repair, "known")], []),
        ([(acknowledge_file, "known")], []),
        ([(acknowledge_file, "known"), (repair, "known")], []),
        ([(end_by_hand, "known"), (repair, "known")], []),
        ([(acknowledge_file, "open"), (expire, "open")], []),
        ([(end_by_hand, "known"), (acknowledge_file, "open")], [WORSE]),
        ([(repair, "known"), (acknowledge_file, "open")], []),
        ([(acknowledge_file, "open"), (repair, "open")], [RECOVERED]),
    ],
    ids=[
        "one ended by hand, the other repaired",
        "the acknowledged one repaired",
        "prolonged",
        "prolonged, then repaired",
        "ended by hand, then repaired",
        "expired before the next scan",
        "one ended by hand, another begun",
        "the acknowledged one repaired, the other acknowledged",
        "acknowledged and repaired before the next scan",
    ],
)
def test_the_last_scan_decides_which_findings_were_suppressed(
    actions: list[tuple[Callable[[str], None], str]], expected: list[str]
) -> None:
    one_open_one_known()
    for action, name in actions:
        action(name)
    assert kinds() == expected


# --- The rule --------------------------------------------------------------------------------------------
STALE, REST = select_checks(["stale_processing", "unregistered_with_uuid"])
BROKEN = ScanCheck(outcome="could_not_run")
LAST = ScanCheck(outcome="found", count=2)


@pytest.mark.parametrize(
    ("outcome", "changes", "previous", "kind"),
    [
        (Outcome(check=STALE, count=2), Changes(ongoing=2, resolved=1, no_longer_suppressed=1), LAST, WORSE),
        (Outcome(check=STALE, count=1), Changes(ongoing=1, resolved=1), LAST, None),
        (
            Outcome(check=STALE, count=1, acknowledged=1),
            Changes(ongoing=1, resolved=1, no_longer_suppressed=1),
            LAST,
            RECOVERED,
        ),
        (
            Outcome(check=STALE, count=1, acknowledged=1),
            Changes(ongoing=1, resolved=1, resolved_suppressed=1),
            LAST,
            None,
        ),
        (Outcome(check=STALE, count=0), Changes(resolved=1, kept_unsuppressed=1), LAST, None),
        (Outcome(check=STALE, count=0), Changes(resolved=1, kept=1), LAST, RECOVERED),
        (Outcome(check=STALE, count=5), Changes(ongoing=5), BROKEN, RUNNING_AGAIN),
        (Outcome(check=STALE, count=5), Changes(ongoing=4, new=1), BROKEN, NEW),
        (Outcome(check=STALE, count=5, acknowledged=2, muted=3), Changes(ongoing=5), BROKEN, RECOVERED),
        (Outcome(check=STALE, count=0), Changes(kept_unsuppressed=1), BROKEN, RUNNING_AGAIN),
        (Outcome(check=STALE, count=0), Changes(kept=1), BROKEN, RECOVERED),
        (Outcome(check=STALE, count=0), Changes(resolved=5), BROKEN, RECOVERED),
        (Outcome(check=REST, count=None, error="locked"), Changes(), None, WORSE),
        (Outcome(check=REST, count=None, error="locked"), Changes(), BROKEN, None),
        (Outcome(check=REST, count=5), Changes(ongoing=5), BROKEN, RECOVERED),
        (Outcome(check=REST, count=5), Changes(new=5), None, None),
    ],
)
def test_the_kind_of_a_change(outcome: Outcome, changes: Changes, previous: ScanCheck | None, kind: str | None) -> None:
    assert kind_of(outcome, changes, previous) == kind


def test_a_check_that_runs_again_has_not_recovered_while_an_unsuppressed_finding_is_open(define: Define) -> None:
    broken = [False]

    def flaky() -> Any:
        if broken[0]:
            raise CheckError("the table is away")
        return File.objects.processing()

    check = [define("flaky", flaky)]
    a_file("one", "processing")
    assert kinds(check) == [NEW]
    mute_check("flaky")
    assert kinds(check) == []
    broken[0] = True
    assert kinds(check) == [WORSE]
    unmute("flaky")
    broken[0] = False
    notice = scan_notice(check)
    assert notice
    assert notice.subject == "Consistency degraded: 1 check running again (database default)"
    assert notice.as_dict()["changes"][0]["change"] == RUNNING_AGAIN
    assert "running again: flaky (warn): 0 new, 0 returned, 0 resolved; 1 in all" in notice.text
    delete_files()
    assert kinds(check) == [RECOVERED]


def test_a_muted_check_that_cannot_run_is_reported_once_and_its_recovery_too(define: Define) -> None:
    broken = [True]

    def flaky() -> Any:
        if broken[0]:
            raise CheckError("the disk is away")
        return File.objects.none()

    check = [define("flaky", flaky)]
    mute_check("flaky", sticky=True)
    assert kinds(check) == [WORSE]
    assert kinds(check) == []
    broken[0] = False
    assert kinds(check) == [RECOVERED]
    assert kinds(check) == []


# --- Other scans -----------------------------------------------------------------------------------------
def test_scans_of_other_checks_and_databases_in_between_change_nothing() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.create(
        database="replica", recorded_at=timezone.now(), trigger="command", actor="", complete=True, status="ok",
        duration_ms=1,
    ).checks.create(
        check_name="stale_processing", database="replica", severity=2, outcome="clean", count=0, duration_ms=1
    )  # fmt: skip
    assert kinds(select_checks(["unknown_status"])) == []
    assert kinds() == []


def test_ongoing_findings_are_not_reported_though_the_previous_scan_is_deleted() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.all().delete()
    assert kinds() == []
    Scan.objects.all().delete()
    delete_files()
    assert kinds() == [RECOVERED]


def test_a_notice_has_counts_and_no_file_names() -> None:
    a_file("private", "processing")
    notice = scan_notice(select_checks(["stale_processing", "orphaned_processing"]))
    assert notice
    body = notice.as_dict()
    assert (body["event"], body["status"], body["recorded"]["new"]) == ("consistency.scan", "degraded", 2)
    assert [change["check"] for change in body["changes"]] == ["stale_processing", "orphaned_processing"]
    assert notice.subject == "Consistency degraded: 2 checks new (database default)"
    assert "new: stale_processing (warn): 1 new, 0 returned, 0 resolved; 1 in all" in notice.text
    assert "private" not in json.dumps(body) + notice.text
