"""Acknowledged and muted: counted, shown, decides nothing, and ends by itself."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history.formats import acknowledged_until, anomaly_dict
from consistency.history.lists import in_force
from consistency.history.overview import overview
from consistency.history.recorder import look
from consistency.history.silence import SilenceError, acknowledge, end_acknowledgement, mute, unmute
from consistency.models import File
from consistency.models.history import Anomaly, Mute
from consistency.registry import CHECKS, CheckError, Finding, Severity
from consistency.scan.report import Report
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, anomaly, in_days, moody, outcome, recorded
from tests.consistency.processes import run, within
from tests.consistency.test_broken_checks import is_killed_by_the_server

pytestmark = pytest.mark.usefixtures("transactional_db")
ORPHANED = "orphaned_processing"


def silent(name: str = STALE) -> tuple[int | None, int, int, str]:
    """Count, acknowledged, muted and status of a look that writes nothing, and the same of one that is recorded."""
    report = look([CHECKS[name]])
    found = report.outcomes[0]
    told = found.count, found.acknowledged, found.muted, report.status
    return told


def acknowledged(*names: str, check: str = STALE, days: float = 1) -> int:
    found = Anomaly.objects.filter(check_name=check, object_id__in=names).values_list("pk", flat=True)
    return acknowledge(found, until=in_days(days), by="ana", reason="known")


def muted(check: str = STALE, days: float = 1, **more: Any) -> Mute:
    return mute(check, until=in_days(days), by="ana", reason="known", **more)


# --- Acknowledgements ------------------------------------------------------------------------------------
def test_an_acknowledged_anomaly_is_counted_and_decides_nothing() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    assert acknowledged("a") == 1
    assert silent() == (2, 1, 0, "degraded")
    assert acknowledged("b") == 1
    assert silent() == (2, 2, 0, "ok")
    assert (outcome(recorded()).acknowledged, anomaly("a").acknowledged_by) == (2, "ana")
    assert end_acknowledgement([anomaly("a").pk]) == 1
    assert silent() == (2, 1, 0, "degraded")


def test_an_acknowledgement_ends_at_its_time() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(acknowledged_until=in_days(-0.001))
    assert silent() == (1, 0, 0, "degraded")
    recorded()
    assert (anomaly("a").acknowledged_by, anomaly("a").acknowledged_until) == (None, None)


def test_an_acknowledgement_ends_when_the_detail_changes() -> None:
    a_file("a", "processing", job=1)
    recorded(ORPHANED)
    acknowledged("a", check=ORPHANED)
    assert silent(ORPHANED)[1] == 1
    File.objects.update(job_id=2)
    assert silent(ORPHANED) == (1, 0, 0, "degraded")
    assert recorded(ORPHANED).report.status == "degraded"
    assert silent(ORPHANED) == (1, 0, 0, "degraded")
    assert anomaly("a", ORPHANED).acknowledged_by is None
    File.objects.update(job_id=1)
    assert silent(ORPHANED) == (1, 0, 0, "degraded")


def test_an_acknowledgement_ends_when_the_anomaly_returns() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    File.objects.update(status="completed")
    recorded()
    File.objects.update(status="processing")
    assert silent() == (1, 0, 0, "degraded")
    recorded()
    assert anomaly("a").acknowledged_until is None


def test_an_acknowledgement_outlives_scans_that_change_nothing() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    for _ in range(2):
        assert recorded().report.status == "ok"
    assert (anomaly("a").acknowledged_reason, anomaly("a").state) == ("known", "ongoing")


def test_what_no_text_can_hold_is_acknowledged_as_it_is_remembered(define: Define) -> None:
    def outside(using: str) -> Any:
        yield Finding(object_type="thing", object_id="\0\udcff", detail="nul \0, half a pair \ud800, 'x' \\ \t")

    define("outside", outside, detail=None)
    recorded("outside")
    assert acknowledge([Anomaly.objects.get().pk], until=in_days(1), by="ana", reason="known") == 1
    assert silent("outside") == (1, 1, 0, "ok")
    assert outcome(recorded("outside"), "outside").acknowledged == 1


def test_of_a_check_that_is_asked_again_in_one_scan_only_the_last_answer_counts(define: Define) -> None:
    def lost() -> Any:
        with ThreadPoolExecutor(1) as other:
            other.submit(repaired).result()
        return is_killed_by_the_server()

    def repaired() -> None:
        File.objects.filter(pk="a").delete()
        connection.close()

    define("lost", lost)
    a_file("b", "processing")
    looks: list[Callable[[], Report]] = [
        lambda: look([CHECKS[STALE], CHECKS["lost"]]),
        lambda: recorded(STALE, "lost").report,
    ]
    for seen in looks:
        a_file("a", "processing")
        recorded()
        acknowledged("a")
        done = seen()
        found, failed = done.outcomes
        assert (failed.count, found.count, found.acknowledged, done.worst) == (None, 1, 0, Severity.WARN)


def test_what_is_resolved_is_shown_as_acknowledged_nowhere_though_its_row_says_until_when() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    File.objects.all().delete()
    recorded()
    assert anomaly("a").acknowledged_until
    assert acknowledged_until(anomaly("a")) is None
    assert anomaly_dict(anomaly("a"), ())["acknowledged"] is None
    assert "acknowledged" not in within("show_anomalies", "--state", "resolved")[1]


def test_what_a_check_names_twice_is_silenced_once(define: Define) -> None:
    """It is one anomaly: the count stays what was found, and no surface takes the second for silent."""

    def twice(using: str) -> Any:
        for _ in range(2):
            yield Finding(object_type="thing", object_id="1", detail="same")

    define("twice", twice, detail=None)
    recorded("twice")
    acknowledge([Anomaly.objects.get().pk], until=in_days(1), by="ana", reason="known")
    assert silent("twice") == (2, 1, 0, "degraded")
    [card] = overview().cards
    assert (card.open, card.acknowledged, card.loud) == (2, 1, 1)
    mute("twice", until=in_days(1), by="ana", reason="known")
    assert silent("twice") == (2, 1, 1, "ok")


def test_an_acknowledgement_that_is_over_cannot_be_ended_once_more() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(acknowledged_until=in_days(-0.001))
    assert end_acknowledgement([anomaly("a").pk]) == 0


def test_a_resolved_anomaly_is_not_acknowledged() -> None:
    a_file("a", "processing")
    recorded()
    File.objects.all().delete()
    recorded()
    assert acknowledged("a") == 0


@pytest.mark.parametrize(("days", "by", "reason"), [(91, "a", "b"), (-1, "a", "b"), (1, " ", "b"), (1, "a", "")])
def test_silence_without_end_name_or_reason_is_refused(days: float, by: str, reason: str) -> None:
    with pytest.raises(SilenceError):
        acknowledge([1], until=in_days(days), by=by, reason=reason)
    with pytest.raises(SilenceError):
        mute(STALE, until=in_days(days * 5), by=by, reason=reason)


# --- Mutes -----------------------------------------------------------------------------------------------
def test_a_muted_check_is_counted_and_decides_nothing() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    acknowledged("a")
    muted()
    assert silent() == (2, 1, 1, "ok")
    assert outcome(recorded()).muted == 1
    assert unmute(STALE)
    assert silent() == (2, 1, 0, "degraded")
    assert not unmute(STALE)
    assert Mute.objects.get().ended_because == "unmuted"


def test_a_mute_ends_when_there_are_more_and_a_look_treats_it_as_ended_without_writing() -> None:
    a_file("a", "processing")
    recorded()
    muted()
    a_file("b", "processing")
    assert silent() == (2, 0, 0, "degraded")
    assert Mute.objects.get().ended_at is None
    assert recorded().report.status == "degraded"
    assert Mute.objects.get().ended_because == "exceeded"


def test_its_mark_falls_as_things_improve() -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    assert muted().mark == 3
    File.objects.filter(pk="c").delete()
    recorded()
    assert Mute.objects.get().mark == 2
    a_file("d", "processing")
    assert recorded().report.status == "degraded"
    assert Mute.objects.get().ended_because == "exceeded"


def test_a_mute_ends_when_the_check_is_clean() -> None:
    a_file("a", "processing")
    recorded()
    muted()
    File.objects.all().delete()
    recorded()
    assert Mute.objects.get().ended_because == "clean"


def test_a_mute_ends_at_its_time() -> None:
    a_file("a", "processing")
    recorded()
    muted(sticky=True)
    Mute.objects.update(until=in_days(-0.001))
    assert silent() == (1, 0, 0, "degraded")
    recorded()
    assert Mute.objects.get().ended_because == "time"


def test_a_sticky_mute_holds_whatever_the_count() -> None:
    recorded()
    muted(sticky=True)
    a_file("a", "processing")
    assert recorded().report.status == "ok"
    File.objects.all().delete()
    recorded()
    a_file("a", "processing")
    a_file("b", "processing")
    assert silent() == (2, 0, 2, "ok")
    assert Mute.objects.get().ended_at is None


def test_a_check_never_recorded_is_muted_at_the_next_count() -> None:
    a_file("a", "processing")
    assert muted().mark is None
    assert silent() == (1, 0, 1, "ok")
    recorded()
    assert Mute.objects.get().mark == 1


def test_a_clean_check_is_muted_sticky_or_not_at_all() -> None:
    recorded()
    with pytest.raises(SilenceError, match="clean when last recorded"):
        muted()
    assert muted(sticky=True).mark == 0


def test_another_mute_takes_the_place_of_one() -> None:
    a_file("a", "processing")
    muted()
    muted(days=2)
    assert list(Mute.objects.values_list("ended_because", flat=True)) == [None, "replaced"]


def test_a_mute_that_was_past_its_time_ended_by_that_and_not_by_the_next_one() -> None:
    a_file("a", "processing")
    muted()
    Mute.objects.update(until=in_days(-0.001))
    muted()
    assert list(Mute.objects.values_list("ended_because", flat=True)) == [None, "time"]
    assert unmute(STALE)


def test_a_mute_takes_the_last_count_that_is_known(define: Define) -> None:
    mood = moody(define)
    a_file("a", "processing")
    recorded("moody")
    mood.bad = True
    recorded("moody")
    assert muted("moody").mark == 1


def test_what_exceeds_a_mute_does_so_still_when_the_check_cannot_be_asked_any_more(define: Define) -> None:
    mood = moody(define)
    a_file("a", "processing")
    a_file("b", "processing")
    recorded("moody")
    muted("moody")
    assert in_force() == [Mute.objects.get()]
    # As where it was muted while the scan that found them was being recorded.
    Mute.objects.update(mark=1)
    assert in_force() == []
    mood.bad = True
    recorded("moody")
    assert in_force() == []


def test_what_is_silent_on_one_database_is_heard_on_another() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(database="archive")
    assert silent() == (1, 0, 0, "degraded")
    muted()
    Mute.objects.update(database="archive")
    assert silent() == (1, 0, 0, "degraded")


def test_a_mute_never_hides_a_check_that_could_not_run(define: Define) -> None:
    def broken() -> Any:
        raise CheckError("no luck")

    define("broken", broken)
    muted("broken", sticky=True)
    assert silent("broken") == (None, 0, 0, "degraded")
    assert run("broken")[0] == 3
    assert Mute.objects.get().ended_at is None


# --- Surfaces --------------------------------------------------------------------------------------------
def test_every_surface_says_the_same(client: Client) -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded(ORPHANED)
    acknowledged("a", check=ORPHANED)
    muted(ORPHANED)
    client.force_login(User.objects.create_user("ana"))
    over_rest = client.get("/health/consistency?check=orphaned_processing", secure=True).json()
    code, out, _ = run(ORPHANED, "--format", "json")
    over_command = json.loads(out)
    assert (code, set(over_command) - set(over_rest)) == (0, {"recorded"})
    for report in (over_rest, over_command):
        [check] = report["checks"]
        assert (report["status"], check["count"], check["acknowledged"], check["muted"]) == ("ok", 3, 1, 2)
        assert datetime.fromisoformat(check["muted_until"]) > in_days(0.9)
        assert (check["muted_by"], check["muted_reason"]) == ("ana", "known")
    last = json.loads(run(ORPHANED, "--format", "ndjson")[1].splitlines()[-1])
    assert (last["checks"][0]["muted"], last["recorded"]["new"]) == (2, 0)
    code, out, _ = run(ORPHANED)
    assert code == 0
    acknowledged_words = f"1 acknowledged (show_anomalies --check {ORPHANED} --silenced 1)"
    muted_words = r"muted by ana until \S+Z \(1 day left\): known"
    assert re.search(rf"^{ORPHANED}: 3 found, {re.escape(acknowledged_words)}, {muted_words}$", out, re.MULTILINE)
    assert "job_id is null" not in out
    User.objects.all().delete()


@pytest.mark.parametrize("limit", [0, 2, 100])
def test_what_rest_says_differs_from_the_command_by_what_was_recorded_alone(client: Client, limit: int) -> None:
    for name in "abc":
        a_file(name, "processing")
    a_file("rest", "unregistered")
    recorded(ORPHANED)
    acknowledged("a", check=ORPHANED)
    muted(ORPHANED)
    client.force_login(User.objects.create_user("ana"))
    over_rest = client.get(f"/health/consistency?limit={limit}", secure=True).content.decode()
    over_command = json.loads(run("--format", "json", "--limit", str(limit))[1])
    assert list(over_command).pop() == "recorded"
    del over_command["recorded"]
    # Texts, so that the order of the keys counts too.
    assert _without_times(over_rest) == _without_times(json.dumps(over_command, separators=(",", ":")))
    User.objects.all().delete()


def _without_times(text: str) -> str:
    return re.sub(r'"(duration_ms":\d+|checked_at":"[^"]+")', "", text)


def test_a_look_over_rest_writes_nothing(client: Client) -> None:
    a_file("a", "processing")
    recorded()
    muted()
    a_file("b", "processing")
    client.force_login(User.objects.create_user("ana"))
    with connection.execute_wrapper(_only_reads):
        answer = client.get("/health/consistency", secure=True)
    assert answer.json()["checks"][0]["count"] == 2
    User.objects.all().delete()


def _only_reads(execute: Any, statement: str, *rest: Any) -> Any:
    assert not statement.startswith(("INSERT", "UPDATE", "DELETE")), statement
    return execute(statement, *rest)
