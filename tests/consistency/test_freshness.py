"""A cron that silently stopped is found: /health/detailed tells how old the last scan is, and check_health fails."""

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from consistency.history.silence import mute, unmute
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from common.errors import NOT_MIGRATED, explain
from config.access import keys
from config.demo.process import until
from config.freshness.health_probes import consistency
from consistency.history.overview import overview
from consistency.history.recorder import scan_and_record
from consistency.models.history import Scan
from consistency.registry import CHECKS
from consistency.scan.selection import default
from health.registry import PROBES, Degraded, NotApplicable
from health.runs.result import DEGRADED, OK, ProbeResult, overall
from tests.consistency.data import a_file

NONE = {"last_complete_scan": None, "age_s": None, "status": None}


pytestmark = pytest.mark.usefixtures("transactional_db")


def aged(**age: float) -> None:
    Scan.objects.update(recorded_at=timezone.now() - timedelta(**age))


def look() -> Any:
    return consistency.run()


def nothing_told() -> str:
    """What it says where there is nothing to tell, which is no fault."""
    with pytest.raises(NotApplicable) as raised:
        look()
    assert raised.value.value == NONE
    return raised.value.reason


def complaint() -> str:
    """What it blames; the overview says the same."""
    with pytest.raises(Degraded) as raised:
        look()
    value, reason = raised.value.value or {}, raised.value.reason
    assert (value["status"], value["error"], overview().too_old) == ("degraded", reason, reason)
    return reason


def test_a_fresh_installation_says_so_and_is_well() -> None:
    assert nothing_told() == "no scan is remembered yet: let cron run check_consistency"
    code, out = command("consistency")
    assert code == 0
    assert "no scan is remembered yet: let cron run check_consistency" in out
    assert consistency.title not in out
    assert not overview().too_old


def test_a_young_scan_is_told_with_its_age_and_its_status() -> None:
    scan_and_record(default())
    aged(minutes=-5)
    assert look()["age_s"] == 0, "two clocks differ"
    aged(minutes=10)
    found = look()
    assert found["last_complete_scan"].endswith("Z")
    assert 600 <= found["age_s"] < 700
    assert found["status"] == "ok"
    a_file("one", "processing")
    scan_and_record(default())
    assert look()["status"] == "degraded"


def test_a_scan_that_is_too_old_degrades_and_is_still_told(settings: Any) -> None:
    scan_and_record(default())
    aged(hours=25)
    assert look()["status"] == "ok"
    aged(hours=27)
    assert complaint().endswith("is too old: does cron still run check_consistency?")
    settings.CONSISTENCY_MAX_AGE = 48
    assert look()["status"] == "ok"
    settings.CONSISTENCY_MAX_AGE = 0
    aged(days=400)
    assert look()["status"] == "ok"


def test_a_look_at_one_check_or_one_that_was_not_complete_is_no_complete_scan() -> None:
    scan_and_record(default())
    aged(hours=27)
    scan_and_record([CHECKS["stale_processing"]])
    scan_and_record(default())
    Scan.objects.filter(pk=Scan.objects.latest("pk").pk).update(complete=False)
    assert re.fullmatch(r"scans come, but the last complete scan, of .*, is too old: .* says why", complaint())
    aged(hours=27)
    assert complaint().endswith("does cron still run check_consistency?")


def test_scans_of_another_database_do_not_count() -> None:
    scan_and_record(default())
    Scan.objects.update(database="replica")
    assert nothing_told().startswith("no scan is remembered yet")


def test_scans_that_never_complete_degrade_once_the_first_is_too_old(settings: Any) -> None:
    scan_and_record(default())
    Scan.objects.update(complete=False)
    assert nothing_told() == "no scan that is remembered was complete: check_consistency says why"
    assert not overview().too_old
    aged(days=10)
    assert complaint() == "no scan that is remembered was complete: does cron still run check_consistency?"
    scan_and_record([CHECKS["stale_processing"]])
    assert complaint() == "scans come, but no scan that is remembered was complete: check_consistency says why"
    settings.CONSISTENCY_MAX_AGE = 0
    assert nothing_told() == "no scan that is remembered was complete: check_consistency says why"


@pytest.mark.parametrize("ever", [True, False])
def test_that_none_completes_is_found_though_scans_are_forgotten_before_they_are_too_old(
    settings: Any, ever: bool
) -> None:
    settings.CONSISTENCY_KEEP_SCANS = 1
    scan_and_record(default())
    Scan.objects.update(complete=ever)
    for _ in range(3):
        Scan.objects.update(recorded_at=F("recorded_at") - timedelta(hours=10))
        scan_and_record([CHECKS["stale_processing"]])
    Scan.objects.filter(pk=Scan.objects.latest("pk").pk).update(complete=False)
    assert complaint().startswith("scans come, but")


def test_a_last_complete_scan_that_is_dated_in_the_future_degrades() -> None:
    scan_and_record(default())
    aged(minutes=-20)
    assert re.fullmatch(r"the last complete scan is dated in the future, .*Z: was the clock set back\?", complaint())


def test_the_status_is_that_of_now_whatever_was_silenced_since_the_scan() -> None:
    a_file("one", "processing")
    scan_and_record(default())
    assert look()["status"] == "degraded"
    for name in ("stale_processing", "orphaned_processing"):
        mute(name, until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    assert look()["status"] == overview().status == "ok"
    unmute("stale_processing")
    assert look()["status"] == overview().status == "degraded"


def test_without_our_tables_it_says_what_to_do() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consistency_scan RENAME TO elsewhere")
    try:
        with pytest.raises(ProgrammingError) as caught:
            look()
        assert explain(caught.value) == NOT_MIGRATED
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO consistency_scan")


# --- Where it shows --------------------------------------------------------------------------------------
def detailed() -> Any:
    headers = {"X-API-Key": keys.issue("tests", days=1)[1]}
    return Client().get("/health/detailed?fresh=1", headers=headers, secure=True).json()


def command(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("check_health", *words, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_it_stands_last_in_the_report_and_leaves_the_overall_status_to_the_services() -> None:
    scan_and_record(default())
    young = detailed()
    assert list(young)[-1] == "consistency"
    assert list(young["consistency"]) == ["last_complete_scan", "age_s", "status"]
    aged(days=3)
    old = next(old for _ in until(20) if (old := detailed())["status"] == "ok")
    assert list(old["consistency"]) == ["last_complete_scan", "age_s", "status", "error"]
    assert old["consistency"]["status"] == "degraded"
    assert "does cron still run check_consistency?" in old["consistency"]["error"]
    assert not PROBES["consistency"].essential
    assert overall([ProbeResult(status=OK)]) != DEGRADED


def comes_to_end_with(code: int) -> bool:
    """Whether the whole platform does: on a busy machine a service may be slow for a moment."""
    return any(command()[0] == code for _ in until(20))


def test_check_health_fails_on_a_scan_that_is_too_old() -> None:
    scan_and_record(default())
    assert command("consistency")[0] == 0
    assert comes_to_end_with(0)
    aged(days=3)
    code, out = command("consistency")
    assert (code, "does cron still run" in out) == (1, True)
    assert command("postgres")[0] == 0


def test_what_fails_the_command_is_said_beside_the_overall_status_that_it_leaves_alone() -> None:
    scan_and_record(default())
    aged(days=3)
    # Where a service is slow for a moment, the overall status is another.
    out = next(out for _ in until(20) if "Overall: ok" in (out := whole(1)))
    overall, why = out.splitlines()[-2:]
    assert overall == "Overall: ok (postgres, redis, qdrant decide)"
    assert why.startswith("consistency fails this command: the last complete scan, of ")
    report = next(told for _ in until(20) if (told := json.loads(whole(1, "--format", "json")))["status"] == "ok")
    assert report["consistency"]["status"] == "degraded"
    assert "fails this command" not in whole(0, "--fail-level", "error")
    assert re.search(r"^consistency +fails check_health ", command("--list-probes")[1], re.MULTILINE)


def whole(code: int, *words: str) -> str:
    """What the command says of the whole platform when it ends so."""
    return next(out for _ in until(20) for ended, out in [command(*words)] if ended == code)
