"""Notices: what is worth one, from where they are sent, and what would be."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from config.demo.process import until
from consistency.history.news import News
from consistency.history.recorder import recording, scan_and_record
from consistency.history.silence import acknowledge, end_acknowledgement, mute, silence_of, unmute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.notices import delivery
from consistency.notices.notice import NEW, RECOVERED, RUNNING_AGAIN, WORSE, Notice, kind_of, notice_of
from consistency.registry import Check, CheckError
from consistency.scan.report import Outcome
from consistency.scan.scanner import scan
from consistency.scan.selection import chosen
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.notices.receivers import SECRET, Receive, hanging, point, sending
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")
LATER = timedelta(days=1)


def stale() -> list[Check]:
    return chosen(["stale_processing"])


def told(checks: list[Check] | None = None, **more: Any) -> Notice | None:
    """Scan and record; what there is to tell."""
    done = scan_and_record(checks or stale(), **more)
    assert done.scan, done.problem
    return notice_of(done.report, done.scan, "default")


def kinds(checks: list[Check] | None = None, **more: Any) -> list[str]:
    notice = told(checks, **more)
    return [change.kind for change in notice.changes] if notice else []


# --- What is worth a notice ------------------------------------------------------------------------------
def test_what_is_new_or_back_is_told_once_and_never_that_it_is_still_there() -> None:
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW]
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    File.objects.filter(file_uuid="two").delete()
    assert kinds() == [], "fewer, but not well"
    File.objects.all().delete()
    assert kinds() == [RECOVERED]
    assert kinds() == []
    a_file("one", "processing")
    assert kinds() == [NEW], "returned"


def test_info_is_not_told() -> None:
    a_file("one", "unregistered")
    assert kinds(chosen(["unregistered_with_uuid"])) == []


def test_a_muted_check_is_not_told_neither_new_nor_clean_and_its_end_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known", sticky=True)
    assert kinds() == [], "silenced is not recovered"
    a_file("two", "processing")
    assert kinds() == []
    File.objects.all().delete()
    assert kinds() == []
    a_file("three", "processing")
    assert kinds() == []
    unmute("stale_processing")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_a_mute_that_is_exceeded_is_told() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known")
    assert kinds() == []
    a_file("two", "processing")
    assert kinds() == [NEW]
    assert Mute.objects.get().ended_because == "exceeded"


@pytest.mark.parametrize("whole", [True, False])
def test_where_one_is_mended_and_the_rest_was_just_silenced_nothing_is_left_that_decides_the_status(
    whole: bool,
) -> None:
    a_file("one", "processing")
    a_file("two", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known") if whole else agreed("one")
    File.objects.filter(file_uuid="two").delete()
    assert kinds() == [RECOVERED], "what is silent is never told again: who opened an incident must hear now"
    File.objects.all().delete()
    assert kinds() == []


def test_what_is_acknowledged_is_not_told_and_its_end_is() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    [pk] = Anomaly.objects.values_list("pk", flat=True)
    acknowledge([pk], until=timezone.now() + LATER, by="ada", reason="known")
    assert kinds() == [], "silenced is not recovered"
    Anomaly.objects.update(acknowledged_until=timezone.now() - LATER)
    assert kinds() == [WORSE]


def agreed(name: str) -> None:
    acknowledge([pk_of(name)], until=timezone.now() + LATER, by="ada", reason="known")


def over(name: str) -> None:
    """Let the time of an acknowledgement of yesterday be over."""
    moment = timezone.now()
    Anomaly.objects.filter(pk=pk_of(name)).update(acknowledged_until=moment)


def pk_of(name: str) -> int:
    return Anomaly.objects.get(object_id=name).pk


def one_loud_one_silent() -> None:
    a_file("loud", "processing")
    a_file("silent", "processing")
    assert kinds() == [NEW]
    agreed("silent")
    assert kinds() == []


def test_the_end_of_one_silence_is_told_though_another_anomaly_is_mended_meanwhile() -> None:
    one_loud_one_silent()
    over("silent")
    File.objects.filter(file_uuid="loud").delete()
    assert kinds() == [WORSE]
    assert kinds() == []


def test_the_end_of_one_silence_is_told_though_another_begins_meanwhile() -> None:
    one_loud_one_silent()
    over("silent")
    agreed("loud")
    assert kinds() == [WORSE]
    assert kinds() == []


def test_another_detail_ends_a_silence_and_is_told_so() -> None:
    one_loud_one_silent()
    Anomaly.objects.filter(object_id="silent").update(detail="as it was then")
    File.objects.filter(file_uuid="loud").delete()
    assert kinds() == [WORSE]


def test_that_somebody_ends_a_silence_is_told_though_another_anomaly_is_mended_meanwhile() -> None:
    one_loud_one_silent()
    end_acknowledgement([pk_of("silent")])
    File.objects.filter(file_uuid="loud").delete()
    assert kinds() == [WORSE]


def test_that_a_silent_one_is_mended_while_a_loud_one_stays_is_not_told() -> None:
    one_loud_one_silent()
    File.objects.filter(file_uuid="silent").delete()
    assert kinds() == []


def test_that_a_silence_is_prolonged_is_not_told() -> None:
    one_loud_one_silent()
    agreed("silent")
    assert kinds() == []


def ended(name: str) -> None:
    end_acknowledgement([pk_of(name)])


def mended(name: str) -> None:
    File.objects.filter(file_uuid=name).delete()


@pytest.mark.parametrize(
    ("acts", "kind"),
    [
        ([(agreed, "silent"), (mended, "silent")], []),
        ([(ended, "silent"), (mended, "silent")], []),
        ([(agreed, "loud"), (over, "loud")], []),
        ([(ended, "silent"), (agreed, "loud")], [WORSE]),
        ([(mended, "silent"), (agreed, "loud")], []),
        ([(agreed, "loud"), (mended, "loud")], [RECOVERED]),
    ],
    ids=[
        "prolonged, then mended",
        "ended by hand, then mended",
        "over before a scan saw it",
        "one ended by hand, another begun",
        "the silent one mended, the loud one just silenced",
        "silenced and mended before a scan saw either",
    ],
)
def test_what_was_silent_is_what_was_so_when_last_seen(
    acts: list[tuple[Callable[[str], None], str]], kind: list[str]
) -> None:
    one_loud_one_silent()
    for act, name in acts:
        act(name)
    assert kinds() == kind


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_silent_and_in_doubt_for_one_scan_is_not_told_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    mute("stale_processing", until=timezone.now() + LATER, by="ada", reason="known") if whole else agreed("one")
    assert kinds() == []
    monkeypatch.setattr("time.sleep", lambda seconds: mended("one"))
    assert kinds(confirm=1) == []
    assert kinds() == []


def test_what_is_mended_is_told_though_two_looks_differ_about_something_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    one_loud_one_silent()
    mended("loud")
    monkeypatch.setattr("time.sleep", lambda seconds: mended("silent"))
    assert kinds(confirm=1) == [RECOVERED]
    assert kinds() == []


def test_nothing_has_recovered_while_what_two_looks_differ_about_is_heard_now(monkeypatch: pytest.MonkeyPatch) -> None:
    one_loud_one_silent()
    mended("loud")
    ended("silent")
    monkeypatch.setattr("time.sleep", lambda seconds: mended("silent"))
    assert kinds(confirm=1) == []


def test_what_two_looks_differ_about_keeps_nobody_from_hearing_once_it_is_silenced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_file("one", "processing")
    a_file("two", "processing")
    assert kinds() == [NEW]
    agreed("two")
    mended("one")
    monkeypatch.setattr("time.sleep", lambda seconds: mended("two"))
    assert kinds(confirm=1) == [RECOVERED]


STALE, REST = chosen(["stale_processing", "unregistered_with_uuid"])
BROKEN = ScanCheck(outcome="could_not_run")
LAST = ScanCheck(outcome="found", count=2)


@pytest.mark.parametrize(
    ("outcome", "news", "last", "kind"),
    [
        (Outcome(check=STALE, count=2), News(ongoing=2, resolved=1, heard_again=1), LAST, WORSE),
        (Outcome(check=STALE, count=1), News(ongoing=1, resolved=1), LAST, None),
        (Outcome(check=STALE, count=1, acknowledged=1), News(ongoing=1, resolved=1, heard_again=1), LAST, RECOVERED),
        (Outcome(check=STALE, count=1, acknowledged=1), News(ongoing=1, resolved=1, resolved_silent=1), LAST, None),
        (Outcome(check=STALE, count=0, doubted=True), News(resolved=1, left_heard=1), LAST, None),
        (Outcome(check=STALE, count=0, doubted=True), News(resolved=1), LAST, RECOVERED),
        (Outcome(check=STALE, count=5), News(ongoing=5), BROKEN, RUNNING_AGAIN),
        (Outcome(check=STALE, count=5), News(ongoing=4, new=1), BROKEN, NEW),
        (Outcome(check=STALE, count=5, acknowledged=2, muted=3), News(ongoing=5), BROKEN, RECOVERED),
        (Outcome(check=STALE, count=0, doubted=True), News(left_heard=1), BROKEN, RUNNING_AGAIN),
        (Outcome(check=STALE, count=0, doubted=True), News(), BROKEN, RECOVERED),
        (Outcome(check=STALE, count=0), News(resolved=5), BROKEN, RECOVERED),
        (Outcome(check=REST, count=None, error="locked"), News(), None, WORSE),
        (Outcome(check=REST, count=None, error="locked"), News(), BROKEN, None),
        (Outcome(check=REST, count=5), News(ongoing=5), BROKEN, RECOVERED),
        (Outcome(check=REST, count=5), News(new=5), None, None),
    ],
)
def test_what_became_of_a_check(outcome: Outcome, news: News, last: ScanCheck | None, kind: str | None) -> None:
    assert kind_of(outcome, news, last) == kind


def test_a_check_that_runs_again_has_not_recovered_while_something_is_open_that_nobody_silenced(
    define: Define,
) -> None:
    away = [False]

    def flaky() -> Any:
        if away[0]:
            raise CheckError("the table is away")
        return File.objects.processing()

    check = [define("flaky", flaky)]
    a_file("one", "processing")
    assert kinds(check) == [NEW]
    mute("flaky", until=timezone.now() + LATER, by="ada", reason="known")
    assert kinds(check) == []
    away[0] = True
    assert kinds(check) == [WORSE]
    unmute("flaky")
    away[0] = False
    notice = told(check)
    assert notice
    assert notice.subject == "Consistency degraded: 1 check running again (database default)"
    assert notice.as_dict()["changes"][0]["change"] == RUNNING_AGAIN
    assert "running again: flaky (warn): 0 new, 0 returned, 0 resolved; 1 in all" in notice.text
    File.objects.all().delete()
    assert kinds(check) == [RECOVERED]


def test_a_check_that_cannot_run_is_told_once_muted_or_not_and_so_is_that_it_can_again(define: Define) -> None:
    broken = [True]

    def flaky() -> Any:
        if broken[0]:
            raise CheckError("the disk is away")
        return File.objects.none()

    check = [define("flaky", flaky)]
    mute("flaky", until=timezone.now() + LATER, by="ada", reason="known", sticky=True)
    assert kinds(check) == [WORSE]
    assert kinds(check) == []
    broken[0] = False
    assert kinds(check) == [RECOVERED]
    assert kinds(check) == []


def test_scans_of_other_checks_and_databases_between_change_nothing() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.create(
        database="replica", recorded_at=timezone.now(), trigger="command", actor="", complete=True, status="ok",
        duration_ms=1,
    ).checks.create(check_name="stale_processing", severity=2, outcome="clean", count=0, duration_ms=1)  # fmt: skip
    assert kinds(chosen(["unknown_status"])) == []
    assert kinds() == []


def test_that_it_is_still_there_is_not_told_though_the_scan_before_is_forgotten() -> None:
    a_file("one", "processing")
    assert kinds() == [NEW]
    Scan.objects.all().delete()
    assert kinds() == []
    Scan.objects.all().delete()
    File.objects.all().delete()
    assert kinds() == [RECOVERED]


def test_a_notice_has_counts_and_words_and_no_file_names() -> None:
    a_file("private", "processing")
    notice = told(chosen(["stale_processing", "orphaned_processing"]))
    assert notice is not None
    body = notice.as_dict()
    assert (body["event"], body["status"], body["recorded"]["new"]) == ("consistency.scan", "degraded", 2)
    assert [change["check"] for change in body["changes"]] == ["stale_processing", "orphaned_processing"]
    assert notice.subject == "Consistency degraded: 2 checks new (database default)"
    assert "new: stale_processing (warn): 1 new, 0 returned, 0 resolved; 1 in all" in notice.text
    assert "private" not in json.dumps(body) + notice.text


# --- From a scan -----------------------------------------------------------------------------------------
def test_the_command_sends_one_message_before_it_ends_and_none_for_the_same_again(receive: Receive) -> None:
    got = receive(200)
    a_file("one", "processing")
    assert run()[0] == 1
    assert len(got) == 1
    assert run()[0] == 1
    assert len(got) == 1
    File.objects.all().delete()
    assert run("--quiet") == (0, "", "")
    assert [change["change"] for change in json.loads(got[1][1])["changes"]] == [RECOVERED, RECOVERED]


def test_a_notice_that_is_not_sent_changes_no_exit_code_and_stderr_says_why(receive: Receive) -> None:
    receive(404)
    a_file("one", "processing")
    code, out, err = run("--format", "json")
    assert (code, json.loads(out)["recorded"]["new"]) == (1, 2)
    assert err == "Notice not sent: webhook: answered 404.\n"


def test_a_scan_over_rest_or_the_admin_sends_without_waiting(
    settings: Any, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One try is enough, and ends with who hangs.
    monkeypatch.setattr(delivery, "SHORTEST_TRY", delivery.SECONDS)
    with hanging() as port:
        point(settings, port)
        a_file("one", "processing")
        assert scan_and_record(stale()).scan
        assert sending(), "it waits for an answer, and nobody for it"
    got = receive(200)
    a_file("two", "processing")
    scan_and_record(stale())
    assert any(got for _ in until(10))


def test_without_recording_nothing_is_sent(receive: Receive) -> None:
    got = receive(200)
    a_file("one", "processing")
    assert run("--no-record")[0] == 1
    assert got == []


# --- What would be sent ----------------------------------------------------------------------------------
def test_a_dry_run_shows_it_sends_nothing_and_remembers_nothing(receive: Receive, settings: Any) -> None:
    got = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "stale_processing")
    assert (code, err, got, mail.outbox) == (1, "", [], [])
    assert "Would be sent to webhook and e-mail." in out
    assert '"change": "new"' in out
    assert SECRET not in out
    assert "hunter2" not in out
    assert (Scan.objects.count(), Anomaly.objects.count()) == (0, 0)
    run("stale_processing")
    assert len(got) == 1, "it was still news"
    assert "No notice: nothing is new" in run("--dry-run-notices", "stale_processing")[1]


def test_a_dry_run_leaves_a_report_for_programs_alone() -> None:
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "--format", "json")
    assert (code, json.loads(out)["recorded"]) == (1, None)
    assert "nobody: neither CONSISTENCY_WEBHOOK_URL nor ADMINS is set" in err


def test_a_dry_run_needs_the_memory() -> None:
    code, _, err = run("--dry-run-notices", "--no-record")
    assert (code, "--dry-run-notices needs the memory" in err) == (2, True)


def test_a_book_that_is_not_kept_says_what_would_be_recorded_and_frees_the_lock() -> None:
    a_file("one", "processing")
    for _ in range(2):
        with recording("default", trigger="command", actor="", seconds=10, keep=False) as book:
            done = book.recorded(scan(stale(), sight=book.sight(silence_of(stale(), "default"))))
        assert done.scan
        assert (done.scan.news.new, Anomaly.objects.count()) == (1, 0)
