"""Two looks: what both agree on is found, what neither saw is gone, and the rest stays as it was."""

from typing import Any

import psycopg
import pytest
from django.db import connection

from consistency.api.answers import check
from consistency.history.lists import in_force
from consistency.history.overview import overview
from consistency.history.silence import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, ScanCheck
from consistency.notices.notice import notice_of
from consistency.registry import CheckError, Finding
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import STALE, anomaly, in_days, news, outcome, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_only_what_both_looks_saw_counts(define: Define) -> None:
    looks = 0

    def moving(using: str) -> Any:
        nonlocal looks
        # Outside checks look twice themselves: two calls are one look.
        looks += 1
        seen = {1: "ab", 2: "ab", 3: "bc", 4: "bc"}[looks]
        for name in seen:
            yield Finding(object_type="thing", object_id=name, detail="moving")

    define("moving", moving, detail=None)
    assert news("moving", confirm=0.01) == (1, 0, 0, 0)
    assert Anomaly.objects.get().object_id == "b"


def test_a_file_that_changes_its_job_between_two_looks_is_neither_found_nor_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "abc":
        a_file(name, "processing", job=1)
    recorded("orphaned_processing")
    acknowledge([anomaly("a", "orphaned_processing").pk], until=in_days(1), by="ana", reason="known")
    File.objects.filter(pk="c").delete()
    monkeypatch.setattr("time.sleep", lambda seconds: File.objects.filter(pk="a").update(job_id=2))
    done = recorded("orphaned_processing", confirm=1)
    assert (outcome(done, "orphaned_processing").count, done.report.affected_files) == (1, 1)
    assert done.scan
    assert (done.scan.news.resolved, done.scan.news.ongoing) == (1, 1)
    doubted = anomaly("a", "orphaned_processing")
    assert (doubted.state, doubted.times_seen, doubted.detail) == ("new", 1, "job 1 does not exist")
    assert doubted.acknowledged_by == "ana"
    assert recorded("orphaned_processing").report.affected_files == 2


def test_what_appears_beside_an_object_that_stays_broken_is_no_reason_to_doubt_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded("duplicate_active_jobs")
    monkeypatch.setattr("time.sleep", lambda seconds: a_job(3, "pending", of="f"))
    assert news("duplicate_active_jobs", confirm=1) == (0, 0, 0, 2)
    assert anomaly("1", "duplicate_active_jobs").detail == "one of 3 active jobs of file f"
    assert news("duplicate_active_jobs") == (1, 0, 0, 2)


def test_a_file_that_changes_its_status_between_two_looks_puts_its_jobs_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded("duplicate_active_jobs")
    monkeypatch.setattr("time.sleep", lambda seconds: File.objects.update(status="processing"))
    assert news("duplicate_active_jobs", confirm=1) == (0, 0, 0, 0)
    assert news("duplicate_active_jobs") == (0, 0, 0, 2)


@pytest.mark.parametrize("appears", [True, False])
def test_what_only_one_look_saw_is_not_resolved_whichever_look_it_was(
    monkeypatch: pytest.MonkeyPatch, appears: bool
) -> None:
    a_file("a", "processing")
    recorded()
    if appears:
        File.objects.update(status="completed")
    # Something that the first look sees too, else there is no second one to wait for.
    a_file("b", "processing")
    changed = File.objects.filter(pk="a")
    monkeypatch.setattr("time.sleep", lambda seconds: changed.update(status="processing" if appears else "completed"))
    assert news(confirm=1) == (1, 0, 0, 0)
    assert anomaly("a").state == "new"
    changed.update(status="completed")
    assert news() == (0, 0, 1, 1)


@pytest.mark.parametrize(("fails", "words"), [(1, "at the first look: not today"), (3, "not today")])
def test_a_check_that_failed_at_either_look_could_not_run(define: Define, fails: int, words: str) -> None:
    looks = 0

    def moody(using: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == fails:
            raise CheckError("not today")
        yield Finding(object_type="thing", object_id="1", detail="moody")

    # Outside checks look twice themselves: the third call is the second look.
    define("moody", moody, detail=None)
    a_file("a", "processing")
    done = recorded("moody", STALE, confirm=0.01)
    assert (outcome(done, "moody").error, outcome(done).count) == (words, 1)
    assert Anomaly.objects.get().check_name == STALE


def test_what_a_look_saw_before_it_lost_its_snapshot_is_no_reason_to_doubt(
    monkeypatch: pytest.MonkeyPatch, define: Define
) -> None:
    looks = 0

    def cut() -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            with psycopg.connect(**connection.get_connection_params()) as other:
                other.execute("DELETE FROM files WHERE file_uuid = 'b'")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return File.objects.none()

    define("cut", cut)
    a_file("a", "processing")
    monkeypatch.setattr("time.sleep", lambda seconds: a_file("b", "processing"))
    done = recorded(STALE, "cut", confirm=1)
    assert (outcome(done).count, outcome(done).doubted) == (1, False)
    assert outcome(done, "cut").error == "the connection to PostgreSQL was lost"


# --- What follows for silence and notices ----------------------------------------------------------------
def repaired_between(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these files be repaired between two looks."""
    monkeypatch.setattr("time.sleep", lambda seconds: File.objects.filter(pk__in=names).delete())


def test_a_check_about_which_two_looks_differ_is_not_clean_and_has_not_become_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    mute(STALE, until=in_days(1), by="ana", reason="known")
    repaired_between(monkeypatch, "a")
    recorded(confirm=1)
    assert Mute.objects.get().mark == 3
    repaired_between(monkeypatch, "b", "c")
    assert outcome(recorded(confirm=1)).count == 0
    told = Mute.objects.get(), ScanCheck.objects.latest("id")
    assert (told[0].ended_at, told[0].mark, told[1].outcome, told[1].count) == (None, 3, "found", 0)
    recorded()
    assert Mute.objects.get().ended_because == "clean"


@pytest.mark.parametrize(("doubted", "told"), [("a", (1, 0, 0, 1)), ("b", (1, 1, 0, 0))])
def test_whatever_two_looks_differ_about_each_surface_tells_of_what_was_counted(
    monkeypatch: pytest.MonkeyPatch, doubted: str, told: tuple[int, int, int, int]
) -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    repaired_between(monkeypatch, doubted)
    done = recorded(confirm=1)
    found, [card] = outcome(done), overview().cards
    assert (found.count, found.acknowledged, found.muted, found.loud) == told
    assert (card.open, card.acknowledged, card.muted, card.loud) == told
    assert overview().status == ("degraded" if told[-1] else "unknown")
    assert card.last.words.endswith(": 1 found, two looks differed")
    answer = check(STALE, "default")
    assert (answer["count"], answer["acknowledged"], answer["muted"]) == told[:3]


def test_a_mute_goes_on_in_every_list_where_two_looks_differ_about_all_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_file("a", "processing")
    recorded()
    running = mute(STALE, until=in_days(1), by="ana", reason="known")
    repaired_between(monkeypatch, "a")
    assert outcome(recorded(confirm=1)).count == 0
    assert in_force() == [running]
    assert overview().cards[0].last.words.endswith(": 0 found, two looks differed")
    recorded()
    assert in_force() == []


def test_what_two_looks_differ_about_can_be_muted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    repaired_between(monkeypatch, "b", "c")
    recorded(confirm=1)
    assert mute(STALE, until=in_days(1), by="ana", reason="known").mark == 3


def test_nobody_is_told_of_what_two_looks_differ_about_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(**more: Any) -> list[str]:
        done = recorded(**more)
        assert done.scan
        notice = notice_of(done.report, done.scan, "default")
        return [change.kind for change in notice.changes] if notice else []

    a_file("a", "processing")
    a_file("b", "processing")
    assert told() == ["new"]
    repaired_between(monkeypatch, "a", "b")
    assert told(confirm=1) == []
    for name in "ab":
        a_file(name, "processing")
    assert told() == []
    assert told(confirm=1) == []
    assert told() == ["recovered"]
