"""The text report: unsuppressed findings come first and with their rows, suppressed ones in a line."""

import json
import re
from typing import Any

import pytest

from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Mute
from consistency.registry import CheckError
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")
ORPHANED = "orphaned_processing"


def stale(*names: str) -> None:
    for name in names:
        a_file(name, "processing")


def acknowledged(*names: str) -> None:
    acknowledge([anomaly(name).pk for name in names], until=in_days(1), by="ana", reason="known")


def muted(check: str = STALE, **more: Any) -> Mute:
    return mute(check, until=in_days(1.5), by="ana", reason="the importer is mended on Monday", **more)


def headings(out: str) -> list[str]:
    """The line of each check below the table."""
    return [line for line in out.splitlines() if re.match(r"\w+(:| could not run:) ", line)]


# --- Suppressed findings ---------------------------------------------------------------------------------
def test_a_muted_check_is_one_line_with_author_reason_and_remaining_time() -> None:
    stale("a", "b")
    recorded()
    muted()
    code, out, _ = run(STALE)
    told = r"muted by ana until \S+Z \(1 day, 12 hours left\): the importer is mended on Monday"
    [line] = headings(out)
    assert code == 0
    assert re.fullmatch(rf"{STALE}: 2 found, {told}", line)
    assert out.splitlines()[-3:] == [line, "", "0 new, 0 returned, 0 resolved"]


def test_a_reason_cannot_control_the_terminal() -> None:
    stale("a")
    recorded()
    mute(STALE, until=in_days(1), by="\x1b[1mana", reason="\x1b[2J\nstale: 0 found")
    _, out, _ = run(STALE)
    assert "\x1b" not in out
    assert headings(out)[0].endswith("\\x1b[2J\\nstale: 0 found")


@pytest.mark.parametrize("options", [(), ("--no-record",), ("--confirm", "1s")])
def test_acknowledged_findings_take_no_row_from_unsuppressed_ones(options: tuple[str, ...]) -> None:
    stale("a", "b", "c", "d")
    recorded()
    acknowledged("a")
    code, out, _ = run(STALE, "--limit", "2", *options)
    assert code == 1
    assert [name for name in "abcd" if f"  {name}.mp4" in out] == ["b", "c"]
    assert "... and 1 more: --limit N" in out
    assert f": 4 found, 1 acknowledged (show_anomalies --check {STALE} --silenced 1). No job" in out


def test_json_has_the_first_rows_acknowledged_or_not() -> None:
    stale("a", "b", "c")
    recorded()
    acknowledged("a")
    [check] = json.loads(run(STALE, "--limit", "2", "--format", "json")[1])["checks"]
    assert [row["file_uuid"] for row in check["files"]] == ["a", "b"]
    assert (check["count"], check["acknowledged"], check["truncated"]) == (3, 1, True)


def test_a_check_with_acknowledged_findings_only_is_one_line() -> None:
    stale("a")
    recorded()
    acknowledged("a")
    code, out, _ = run(STALE)
    assert (code, len(headings(out))) == (0, 1)
    assert headings(out)[0].endswith("--silenced 1)")


def test_a_mute_that_is_exceeded_shows_its_rows_again() -> None:
    stale("a")
    recorded()
    muted()
    stale("b")
    code, out, _ = run(STALE)
    assert code == 1
    assert [name for name in "ab" if f"  {name}.mp4" in out] == ["a", "b"]


def test_without_rows_there_is_no_line_about_more_rows() -> None:
    stale("a")
    assert "more" not in run(STALE, "--limit", "0")[1]


# --- Changes and order -----------------------------------------------------------------------------------
def test_each_check_has_the_numbers_of_new_and_returned_findings() -> None:
    stale("a", "b", "c")
    assert headings(run(STALE)[1])[0].startswith(f"{STALE}: 3 found, 3 new. ")
    File.objects.filter(pk="a").update(status="completed")
    assert headings(run(STALE)[1])[0].startswith(f"{STALE}: 2 found. ")
    File.objects.filter(pk="a").update(status="processing")
    stale("d")
    assert headings(run(STALE, "--no-record")[1])[0].startswith(f"{STALE}: 4 found. ")
    assert headings(run(STALE)[1])[0].startswith(f"{STALE}: 4 found, 1 new, 1 returned. ")


def test_unsuppressed_checks_come_before_info_and_info_before_suppressed_ones(define: Define) -> None:
    def broken() -> Any:
        raise CheckError("no luck")

    define("broken", broken)
    stale("a")
    a_file("rest", "unregistered")
    recorded(STALE, ORPHANED, REST)
    muted(STALE)
    out = run(STALE, REST, ORPHANED, "broken")[1]
    assert [line.split()[0].strip(":") for line in headings(out)] == ["broken", ORPHANED, REST, STALE]
    table = [line.split()[0] for line in out.splitlines()[3:7]]
    assert table == [STALE, ORPHANED, REST, "broken"]


# --- A mute that ended by itself -------------------------------------------------------------------------
def exceeded() -> None:
    stale("b", "c")


def clean() -> None:
    delete_files()


def over() -> None:
    Mute.objects.update(until=in_days(-1))


ENDS = [
    (exceeded, "exceeded", 3, "3 is more than 1"),
    (clean, "clean", 0, "the check is clean"),
    (over, "time", 1, "the time was over"),
]


@pytest.mark.parametrize(("change", "because", "count", "words"), ENDS)
def test_the_end_of_a_mute_is_reported_once(change: Any, because: str, count: int, words: str) -> None:
    stale("a")
    recorded()
    muted()
    assert " ended: " not in run(STALE)[1]
    change()
    assert " ended: " not in run(STALE, "--no-record")[1]
    assert " ended: " not in run(STALE, "--dry-run-notices")[1]
    line = f"The mute of {STALE} by ana ended: {words}."
    assert run(STALE)[1].splitlines()[-3:-1] == [line, ""]
    assert " ended: " not in run(STALE)[1]


@pytest.mark.parametrize("how", ["json", "ndjson", "csv"])
@pytest.mark.parametrize(("change", "because", "count", "words"), ENDS)
def test_every_format_reports_the_end_of_a_mute(how: str, change: Any, because: str, count: int, words: str) -> None:
    stale("a")
    recorded()
    muted()
    change()
    _, out, _ = run(STALE, "--format", how)
    if how == "csv":
        assert out.splitlines()[-1].endswith(f", mutes_ended: {STALE} ({because})")
        return
    about = {"check": STALE, "by": "ana", "reason": "the importer is mended on Monday"}
    recorded_now = json.loads(out if how == "json" else out.splitlines()[-1])["recorded"]
    assert recorded_now["mutes_ended"] == [about | {"because": because, "count": count, "mark": 1}]


def test_quiet_prints_the_end_of_an_exceeded_mute_and_not_of_a_clean_one() -> None:
    stale("a")
    recorded()
    muted()
    clean()
    assert run(STALE, "--quiet") == (0, "", "")
    stale("a")
    recorded()
    muted()
    exceeded()
    assert "ended: 3 is more than 1." in run(STALE, "--quiet")[1]
