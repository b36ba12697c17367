"""Notices of a scan with two passes: a finding that only one pass sees keeps its anomaly open."""

import pytest

from consistency.notices.notice import NEW, RECOVERED, WORSE
from tests.consistency.data import a_file
from tests.consistency.notices.data import acknowledge_file, end_by_hand, kinds, mute_check, one_open_one_known, repair

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.mark.parametrize("mutes", [True, False])
def test_a_suppressed_finding_that_one_pass_did_not_find_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, mutes: bool
) -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute_check() if mutes else acknowledge_file("one")
    assert kinds() == []
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: repair("one"))
    assert kinds(confirm=1) == []
    assert kinds() == []


def test_a_repair_is_reported_though_two_passes_differ_about_a_suppressed_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_open_one_known()
    repair("open")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: repair("known"))
    assert kinds(confirm=1) == [RECOVERED]
    assert kinds() == []


def test_no_check_recovers_while_one_pass_sees_an_unsuppressed_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    one_open_one_known()
    repair("open")
    end_by_hand("known")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: repair("known"))
    assert kinds(confirm=1) == [WORSE], "the acknowledgement has ended"
    assert kinds() == [RECOVERED]


def test_a_check_recovers_if_the_finding_that_one_pass_sees_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    a_file("one", "processing")
    a_file("two", "processing")
    assert kinds() == [NEW]
    acknowledge_file("two")
    repair("one")
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: repair("two"))
    assert kinds(confirm=1) == [RECOVERED]
