"""A cron that stopped is reported: /health/detailed has the age of the last scan, and check_health fails."""

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
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
from consistency.history.retention import prune
from consistency.history.suppression import mute, unmute
from consistency.models.history import Scan, ScanCheck
from consistency.scan.selection import default_checks
from health.registry import PROBES, Degraded, NotApplicable
from health.runs.result import DEGRADED, OK, ProbeResult, overall
from tests.consistency.data import a_file
from tests.consistency.history.data import recorded

NONE = {"last_complete_scan": None, "age_s": None, "status": None}

pytestmark = pytest.mark.usefixtures("transactional_db")


def aged(**age: float) -> None:
    Scan.objects.update(recorded_at=timezone.now() - timedelta(**age))


def scan_default_checks() -> None:
    recorded(*(check.name for check in default_checks()))


def freshness() -> Any:
    return consistency.run()


def reason_not_applicable() -> str:
    """Return why the probe has no result, which is no fault."""
    with pytest.raises(NotApplicable) as raised:
        freshness()
    assert raised.value.value == NONE
    return raised.value.reason


def reason_stale() -> str:
    """Return the reason of the degraded probe, which the overview shows too."""
    with pytest.raises(Degraded) as raised:
        freshness()
    value, reason = raised.value.value or {}, raised.value.reason
    assert (value["status"], value["error"], overview().stale) == ("degraded", reason, reason)
    return reason


def test_a_fresh_installation_is_healthy_and_says_so() -> None:
    assert reason_not_applicable() == "no scan is recorded yet: let cron run check_consistency"
    code, out = command("consistency")
    assert code == 0
    assert "no scan is recorded yet: let cron run check_consistency" in out
    assert consistency.title not in out
    assert not overview().stale


def test_a_recent_scan_has_age_and_status() -> None:
    scan_default_checks()
    aged(minutes=-5)
    assert freshness()["age_s"] == 0, "two clocks differ"
    aged(minutes=10)
    found = freshness()
    assert found["last_complete_scan"].endswith("Z")
    assert 600 <= found["age_s"] < 700
    assert found["status"] == "ok"
    a_file("one", "processing")
    scan_default_checks()
    assert freshness()["status"] == "degraded"


def test_a_scan_that_is_too_old_degrades(settings: Any) -> None:
    scan_default_checks()
    aged(hours=25)
    assert freshness()["status"] == "ok"
    aged(hours=27)
    assert reason_stale().endswith("is too old: does cron still run check_consistency?")
    settings.CONSISTENCY_MAX_AGE = 48
    assert freshness()["status"] == "ok"
    settings.CONSISTENCY_MAX_AGE = 0
    aged(days=400)
    assert freshness()["status"] == "ok"


def test_a_scan_of_one_check_or_an_incomplete_one_is_no_complete_scan() -> None:
    scan_default_checks()
    aged(hours=27)
    recorded("stale_processing")
    scan_default_checks()
    Scan.objects.filter(pk=Scan.objects.latest("pk").pk).update(complete=False)
    assert re.fullmatch(r"scans come, but the last complete scan, of .*, is too old: .* says why", reason_stale())
    aged(hours=27)
    assert reason_stale().endswith("does cron still run check_consistency?")


def test_scans_of_another_database_do_not_count() -> None:
    scan_default_checks()
    Scan.objects.update(database="replica")
    ScanCheck.objects.update(database="replica")
    assert reason_not_applicable().startswith("no scan is recorded yet")


def test_scans_that_never_complete_degrade_once_the_first_is_too_old(settings: Any) -> None:
    scan_default_checks()
    Scan.objects.update(complete=False)
    assert reason_not_applicable() == "no recorded scan was complete: check_consistency says why"
    assert not overview().stale
    aged(days=10)
    assert reason_stale() == "no recorded scan was complete: does cron still run check_consistency?"
    recorded("stale_processing")
    assert reason_stale() == "scans come, but no recorded scan was complete: check_consistency says why"
    settings.CONSISTENCY_MAX_AGE = 0
    assert reason_not_applicable() == "no recorded scan was complete: check_consistency says why"


@pytest.mark.parametrize("ever", [True, False])
def test_missing_complete_scans_are_reported_though_retention_deletes_scans_before_they_are_too_old(
    settings: Any, ever: bool
) -> None:
    settings.CONSISTENCY_KEEP_SCANS = 1
    scan_default_checks()
    Scan.objects.update(complete=ever)
    for _ in range(3):
        Scan.objects.update(recorded_at=F("recorded_at") - timedelta(hours=10))
        recorded("stale_processing")
        prune()
    Scan.objects.filter(pk=Scan.objects.latest("pk").pk).update(complete=False)
    assert reason_stale().startswith("scans come, but")


def test_a_last_complete_scan_that_is_dated_in_the_future_degrades() -> None:
    scan_default_checks()
    aged(minutes=-20)
    assert re.fullmatch(r"the last complete scan is dated in the future, .*Z: was the clock set back\?", reason_stale())


def test_the_status_follows_mutes_made_since_the_scan() -> None:
    a_file("one", "processing")
    scan_default_checks()
    assert freshness()["status"] == "degraded"
    for name in ("stale_processing", "orphaned_processing"):
        mute(name, until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    assert freshness()["status"] == overview().status == "ok"
    unmute("stale_processing")
    assert freshness()["status"] == overview().status == "degraded"


def test_without_continuitys_tables_the_error_names_the_next_step() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consistency_scan RENAME TO elsewhere")
    try:
        with pytest.raises(ProgrammingError) as caught:
            freshness()
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


def test_the_section_follows_those_of_the_contract_and_does_not_decide_the_overall_status() -> None:
    scan_default_checks()
    young = detailed()
    assert list(young)[-2:] == ["consistency", "process"]
    assert list(young["consistency"]) == ["last_complete_scan", "age_s", "status"]
    aged(days=3)
    old = next(old for _ in until(20) if (old := detailed())["status"] == "ok")
    assert list(old["consistency"]) == ["last_complete_scan", "age_s", "status", "error"]
    assert old["consistency"]["status"] == "degraded"
    assert "does cron still run check_consistency?" in old["consistency"]["error"]
    assert not PROBES["consistency"].essential
    assert overall([ProbeResult(status=OK)]) != DEGRADED


def comes_to_end_with(code: int) -> bool:
    """Wait for this exit code of the whole platform: on a busy machine a service may be slow for a moment."""
    return any(command()[0] == code for _ in until(20))


def test_check_health_fails_on_a_scan_that_is_too_old() -> None:
    scan_default_checks()
    assert command("consistency")[0] == 0
    assert comes_to_end_with(0)
    aged(days=3)
    code, out = command("consistency")
    assert (code, "does cron still run" in out) == (1, True)
    assert command("postgres")[0] == 0


def test_check_health_names_the_failing_section_beside_the_overall_status() -> None:
    scan_default_checks()
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
    """Wait for this exit code of the whole platform; return the output."""
    return next(out for _ in until(20) for ended, out in [command(*words)] if ended == code)
