"""The commands around the history: mute_check, unmute_check, show_anomalies, show_scans."""

import json
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.core.management import execute_from_command_line

from common.times import format_instant
from consistency.history.scanning import os_user
from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from tests.consistency.conftest import moved_to
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.consistency.processes import manage, run, within
from tests.servers import Shared

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def elsewhere(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(OWN_STYLE)
        yield made


def test_a_check_is_muted_and_unmuted(database_url: str) -> None:
    a_file("a", "processing")
    recorded()
    muted = manage("mute_check", STALE, "--for", "7d", "--reason", "migration", database_url=database_url)
    assert (muted.returncode, muted.stderr) == (0, "")
    mute = Mute.objects.get()
    ends = f"until {format_instant(mute.until)}, or until the check is clean or the count exceeds 1"
    assert muted.stdout == f"{STALE} is muted by {os_user()} {ends}.\n"
    assert (mute.by, mute.reason, mute.sticky, mute.mark) == (os_user(), "migration", False, 1)
    assert in_days(6.9) < mute.until < in_days(7)
    assert run(STALE)[0] == 0
    assert within("unmute_check", STALE) == (0, f"{STALE} is unmuted.\n", "")
    assert within("unmute_check", STALE)[0] == 2
    assert run(STALE)[0] == 1


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ((), "or until the check is clean or the count exceeds the count of the next scan"),
        (("--sticky",), "for any number of findings"),
    ],
)
def test_mute_check_prints_the_end_of_the_mute(options: tuple[str, ...], ends: str) -> None:
    assert within("mute_check", STALE, "--for", "7d", "--reason", "x", *options)[1].endswith(f"Z, {ends}.\n")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("mute_check", STALE, "--for", "7d"), "the following arguments are required: --reason"),
        (("mute_check", STALE, "--for", "7"), "argument --for: '7' is not a length of time."),
        (("unmute_check",), "the following arguments are required: CHECK"),
        (("show_anomalies", "--format", "xml"), "argument --format: invalid choice: 'xml'"),
        (("show_scans", "--limit", "x"), "argument --limit: 'x' is not a whole number"),
        (("check_consistency", "--tag", "x"), "argument -t/--tag: unknown tag 'x'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_the_way_to_help(
    command: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        execute_from_command_line(["manage.py", *command])
    told = capsys.readouterr()
    wrong, more = told.err.splitlines()
    assert (end.value.code, told.out) == (2, "")
    assert wrong.startswith(f"manage.py {command[0]}: {sentence}")
    assert more == f"See manage.py {command[0]} --help."


@pytest.mark.parametrize(
    "arguments",
    [
        (STALE, "--reason", "x"),
        (STALE, "--for", "7d"),
        (STALE, "--for", "7d", "--reason", " "),
        (STALE, "--for", "7 days", "--reason", "x"),
        (STALE, "--for", "400d", "--reason", "x"),
        ("stale", "--for", "7d", "--reason", "x"),
    ],
)
def test_a_mute_that_lacks_something_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    # Django's parser ends with 2 as a process, and with 1 when it is called.
    assert within("mute_check", *arguments)[0] in (1, 2)
    assert not Mute.objects.exists()


def test_anomalies_are_shown_filtered_and_hostile_names_are_only_text() -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    File.objects.create(file_uuid="b", file_name="\x1b[31mred", status="processing")
    recorded()

    def shown(*arguments: str) -> list[str]:
        out = within("show_anomalies", *arguments, "--format", "json")[1]
        return [found["object_id"] for found in json.loads(out)["anomalies"]]

    assert shown() == ["b"]
    assert shown("--state", "resolved") == ["a"]
    assert shown("--state", "all") == ["b", "a"]
    assert shown("--check", "unknown_status") == []
    assert shown("--check", STALE, "--limit", "1", "--state", "all") == ["b"]
    assert shown("--severity", "warn", "--uuid", "b", "--since", "1h", "--silenced", "0") == ["b"]
    assert shown("--name", "a") == []
    last, first = Scan.objects.values_list("pk", flat=True)
    assert [shown("--scan", str(scan), "--state", "all") for scan in (first, last)] == [["a"], ["b"]]
    assert shown("--state", "acknowledged") == []
    text = within("show_anomalies", "--state", "all", "--limit", "1")[1]
    assert "\\x1b[31mred" in text
    assert "\x1b" not in text
    assert "... and more" in text


def test_suppressed_anomalies_are_shown_with_the_remaining_time() -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    acknowledge([anomaly(name).pk for name in "ab"], until=in_days(2.5), by="ana", reason="known")
    Anomaly.objects.filter(object_id="b").update(acknowledged_until=in_days(-1))
    mute("orphaned_processing", until=in_days(1), by="ana", reason="known")
    shown = within("show_anomalies")[1].splitlines()
    assert ["acknowledged" in line for line in shown] == [False, False, False, True]
    assert "acknowledged by ana: known, 2 days, 12 hours left" in shown[3]
    mute(STALE, until=in_days(1), by="bo", reason="being mended")
    assert within("show_anomalies")[1].count("muted by bo: being mended, 1 day left") == 3
    told = json.loads(within("show_anomalies", "--uuid", "c", "--format", "json")[1])["anomalies"]
    assert [(row["acknowledged"], row["muted_until"] is None) for row in told] == [(None, False)]
    assert [(row["muted_by"], row["muted_reason"]) for row in told] == [("bo", "being mended")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show_anomalies", "--check", "stale"), "Did you mean 'stale_processing'?"),
        (("show_anomalies", "--state", "opne"), "Did you mean 'open'?"),
        (("show_anomalies", "--severity", "bad"), "Allowed: info, warn, error."),
        (("show_anomalies", "--since", "soon"), "is no time"),
        (("show_anomalies", "--since", "50%"), "'50%' is no time"),
        (("show_anomalies", "--scan", "last"), "scan: 'last' is not a whole number"),
        (("show_anomalies", "--uuid", "a", "--uuid", "b"), "uuid: the parameter may be given once"),
        (("show_anomalies", "--limit", "9" * 20), "is not a whole number"),
        (("show_scans", "--complete", "yes"), "Allowed: 0, 1."),
        (("show_scans", "--database", "archive"), "unknown database 'archive'"),
    ],
)
def test_a_filter_that_makes_no_sense_is_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    code, out, told = within(*arguments)
    # Django's parser ends with 2 as a process, and with 1 when it is called.
    assert (code in (1, 2), out) == (True, "")
    assert words in told


def test_an_empty_list_is_a_sentence() -> None:
    assert within("show_anomalies") == (0, "No anomalies are open.\n", "")
    assert within("show_anomalies", "--name", "a") == (0, "No anomalies match.\n", "")
    assert json.loads(within("show_anomalies", "--format", "json")[1]) == {"anomalies": []}
    assert within("show_scans") == (0, "No scan is recorded.\n", "")
    assert json.loads(within("show_scans", "--format", "json")[1]) == {"scans": []}


def test_a_longer_list_than_the_limit_ends_with_a_hint() -> None:
    a_file("a", "processing")
    recorded(STALE)
    recorded(STALE)
    assert "No scan" not in within("show_scans", "--limit", "0")[1]
    for command in ("show_scans", "show_anomalies"):
        assert "... and more" in within(command, "--limit", "0")[1]
    last, first = Scan.objects.values_list("pk", flat=True)
    heads, row, more = within("show_scans", "--limit", "1")[1].splitlines()
    assert (heads.split()[0], row.split()[0], more) == ("id", str(last), "... and more: --limit N")
    assert len(within("show_scans", "--limit", "2")[1].splitlines()) == 3
    assert [row["id"] for row in json.loads(within("show_scans", "--format", "json")[1])["scans"]] == [last, first]
    assert json.loads(within("show_scans", "--format", "json", "--limit", "0")[1]) == {"scans": []}
    assert within("show_scans", "--complete", "0") == (0, "No scan matches.\n", "")


def test_actors_are_printable_text() -> None:
    a_file("a", "processing")
    recorded(STALE)
    Scan.objects.update(actor="\x1b[31mana")
    assert "command: \\x1b[31mana" in within("show_scans")[1]
    with patch("consistency.management.commands.mute_check.os_user", return_value="\x1b[31mana"):
        assert "is muted by \\x1b[31mana until" in within("mute_check", STALE, "--for", "7d", "--reason", "x")[1]
    assert within("unmute_check", "\x1b[31m")[2].startswith("unknown check '\\x1b[31m'. Allowed: ")


def test_scans_are_shown_and_a_removed_check_is_retired() -> None:
    recorded()
    Scan.objects.get().checks.update(check_name="long_gone")
    scans = json.loads(within("show_scans", "--format", "json")[1])["scans"]
    assert [(check["check"], check["retired"], check["outcome"]) for check in scans[0]["checks"]] == [
        ("long_gone", True, "clean")
    ]
    assert "command: tester" in within("show_scans")[1]


def test_anomalies_of_a_removed_check_are_shown_as_retired() -> None:
    a_file("a", "processing")
    recorded(STALE)
    Anomaly.objects.update(check_name="long_gone")
    ScanCheck.objects.update(check_name="long_gone")
    assert "long_gone (retired)" in within("show_anomalies", "--check", "long_gone")[1]
    assert within("show_anomalies", "--check", "long_gon")[0] in (1, 2)


def test_an_unreadable_history_is_one_line(elsewhere: Platform) -> None:
    with moved_to(elsewhere.url):
        for command in (("show_scans",), ("show_anomalies",), ("unmute_check", STALE)):
            code, out, told = within(*command)
            assert (code, out, len(told.splitlines())) == (3, "", 1)
            assert "Run manage.py migrate" in told
