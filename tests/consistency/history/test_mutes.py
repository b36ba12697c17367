"""A mute suppresses a check until its time, until the check is clean, or until there are more findings."""

from typing import Any

import pytest

from consistency.history.queries import active_mutes
from consistency.history.scanning import read_scan
from consistency.history.suppression import SuppressionError, acknowledge, mute, unmute
from consistency.models.history import Mute
from consistency.registry import CHECKS, CheckError
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, moody, outcome, recorded
from tests.consistency.history.test_suppression import suppressed
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


def muted(check: str = STALE, days: float = 1, **options: Any) -> Mute:
    return mute(check, until=in_days(days), by="ana", reason="known", **options)


def test_a_muted_check_is_counted_and_does_not_decide_the_status() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    muted()
    assert suppressed() == (2, 1, 1, "ok")
    assert outcome(recorded()).muted == 1
    assert unmute(STALE, by="bob", reason="mended")
    assert suppressed() == (2, 1, 0, "degraded")
    assert not unmute(STALE)
    ended = Mute.objects.get()
    assert (ended.ended_because, ended.ended_by, ended.ended_reason) == ("unmuted", "bob", "mended")


def test_more_findings_end_a_mute_and_a_reading_scan_counts_the_mute_as_ended() -> None:
    a_file("a", "processing")
    recorded()
    muted()
    a_file("b", "processing")
    assert suppressed() == (2, 0, 0, "degraded")
    assert Mute.objects.get().ended_at is None
    assert recorded().report.status == "degraded"
    assert Mute.objects.get().ended_because == "exceeded"


def test_the_mark_falls_as_findings_are_resolved() -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    assert muted().mark == 3
    delete_files(pk="c")
    recorded()
    assert Mute.objects.get().mark == 2
    a_file("d", "processing")
    assert recorded().report.status == "degraded"
    assert Mute.objects.get().ended_because == "exceeded"


def test_a_mute_ends_when_the_check_is_clean() -> None:
    a_file("a", "processing")
    recorded()
    muted()
    delete_files()
    result = recorded()
    assert Mute.objects.get().ended_because == "clean"
    assert result.scan
    [ended] = result.scan.mutes_ended
    assert str(ended) == f"The mute of {STALE} by ana ended: the check is clean."


def test_a_mute_ends_at_its_time() -> None:
    a_file("a", "processing")
    recorded()
    muted(sticky=True)
    Mute.objects.update(until=in_days(-0.001))
    assert active_mutes() == []
    assert suppressed() == (1, 0, 0, "degraded")
    recorded()
    assert Mute.objects.get().ended_because == "time"


def test_a_sticky_mute_holds_for_any_count() -> None:
    recorded()
    muted(sticky=True)
    a_file("a", "processing")
    assert recorded().report.status == "ok"
    delete_files()
    recorded()
    a_file("a", "processing")
    a_file("b", "processing")
    assert suppressed() == (2, 0, 2, "ok")
    assert Mute.objects.get().ended_at is None


def test_the_first_scan_sets_the_mark_of_a_check_without_a_recorded_scan() -> None:
    a_file("a", "processing")
    assert muted().mark is None
    assert suppressed() == (1, 0, 1, "ok")
    recorded()
    assert Mute.objects.get().mark == 1


def test_a_clean_check_is_muted_sticky_or_not_at_all() -> None:
    recorded()
    with pytest.raises(SuppressionError, match="clean when last recorded"):
        muted()
    assert muted(sticky=True).mark == 0


def test_a_new_mute_replaces_a_running_one() -> None:
    a_file("a", "processing")
    muted()
    muted(days=2)
    assert list(Mute.objects.values_list("ended_because", flat=True)) == [None, "replaced"]


def test_a_mute_past_its_time_ended_by_time_and_not_by_its_successor() -> None:
    a_file("a", "processing")
    muted()
    Mute.objects.update(until=in_days(-0.001))
    muted()
    assert list(Mute.objects.values_list("ended_because", flat=True)) == [None, "time"]
    assert unmute(STALE)


def test_the_mark_of_a_mute_is_the_last_known_count(define: Define) -> None:
    mood = moody(define)
    a_file("a", "processing")
    recorded("moody")
    mood.bad = True
    recorded("moody")
    assert muted("moody").mark == 1


def test_a_mute_never_hides_a_check_that_could_not_run(define: Define) -> None:
    def broken() -> Any:
        raise CheckError("no luck")

    define("broken", broken)
    muted("broken", sticky=True)
    assert suppressed("broken") == (None, 0, 0, "degraded")
    assert run("broken")[0] == 3
    assert Mute.objects.get().ended_at is None


def test_a_reading_scan_has_the_mute_that_suppresses() -> None:
    a_file("a", "processing")
    recorded()
    running = muted()
    [found] = read_scan([CHECKS[STALE]]).outcomes
    assert found.mute == running
