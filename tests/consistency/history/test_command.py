"""check_consistency remembers by default; the commands around the memory."""

import json
import os
import pwd
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.core.management import execute_from_command_line

from common.times import format_instant
from consistency.history.recorder import Recorder
from consistency.history.scanning import os_user
from consistency.history.suppression import acknowledge, end_acknowledgement, mute, unmute
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from tests.consistency.conftest import moved_to
from tests.consistency.data import a_file
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.consistency.processes import check_consistency, manage, run, within
from tests.servers import Shared

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def elsewhere(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(OWN_STYLE)
        yield made


def test_it_records_and_prints_the_news_zeros_too() -> None:
    a_file("a", "processing")
    assert run(STALE)[1].endswith("\n1 new, 0 returned, 0 resolved\n")
    assert run(STALE)[1].endswith("\n0 new, 0 returned, 0 resolved\n")
    File.objects.all().delete()
    assert run(STALE)[1].endswith("\n0 new, 0 returned, 1 resolved\n")
    scan = Scan.objects.first()
    assert scan
    assert (scan.trigger, scan.actor, scan.resolved) == ("command", os_user(), 1)


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        (("--only-new", "--confirm", "0s"), "\n\n1 new, 0 returned, 0 resolved\n"),
        (("--quiet",), "\n\n1 new, 0 returned, 0 resolved\n"),
        (("--quiet", "--fail-level", "error"), ""),
        (("--dry-run-notices",), "\n\n1 new, 0 returned, 0 resolved\n"),
        (("--no-record",), " or set the status it had before.\n"),
    ],
)
def test_the_report_ends_with_the_news_where_there_are_any_to_know(options: tuple[str, ...], ends: str) -> None:
    a_file("a", "processing")
    out = run(STALE, "--limit", "0", *options)[1]
    assert out.partition("\nWould be sent to ")[0].endswith(ends)
    assert bool(out) == bool(ends)


@pytest.mark.parametrize("how", ["json", "ndjson"])
def test_json_says_what_was_recorded(how: str) -> None:
    a_file("a", "processing")
    out = run("--format", how)[1]
    report = json.loads(out if how == "json" else out.splitlines()[-1])
    news = {"new": 2, "returned": 0, "resolved": 0, "mutes_ended": []}
    assert report["recorded"] == {"scan": Scan.objects.get().pk} | news


def test_csv_says_what_was_recorded_in_its_last_line() -> None:
    a_file("a", "processing")
    assert ", new: 2, returned: 0, resolved: 0" in run("--format", "csv")[1].splitlines()[-1]
    assert ", new: 0, returned: 0, resolved: 0" in run("--format", "csv", "--limit", "0")[1].splitlines()[-1]


def test_csv_says_what_is_silent_in_its_last_line() -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded()
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    assert f"{STALE}: 3 (1 acknowledged), " in run(STALE, "--format", "csv")[1].splitlines()[-1]
    muted = mute(STALE, until=in_days(1), by="ana", reason="known\nsince\x1b[2J Monday")
    why = f"2 muted by ana until {format_instant(muted.until)}: known\\nsince\\x1b[2J Monday"
    assert f"{STALE}: 3 (1 acknowledged; {why}), " in run(STALE, "--format", "csv")[1].splitlines()[-1]
    unmute(STALE)
    end_acknowledgement([anomaly("a").pk])
    assert f"{STALE}: 3, " in run(STALE, "--format", "csv")[1].splitlines()[-1]


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_no_record_remembers_nothing(how: str) -> None:
    a_file("a", "processing")
    code, out, err = run("--no-record", "--format", how)
    assert (code, err, Scan.objects.count()) == (1, "", 0)
    assert "recorded" not in out


def test_a_limit_limits_no_recording() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    for how in ("json", "ndjson", "csv"):
        run(STALE, "--limit", "1", "--format", how)
        assert anomaly("b").times_seen == Scan.objects.count()


# --- Exit codes ------------------------------------------------------------------------------------------
def test_only_new_fails_on_news_alone() -> None:
    a_file("a", "processing")
    assert [run("--only-new")[0] for _ in range(2)] == [1, 0]
    assert run()[0] == 1
    a_file("b", "unregistered")
    assert run("--only-new")[0] == 0
    File.objects.filter(pk="a").update(status="completed")
    assert run("--only-new")[0] == 0
    File.objects.filter(pk="a").update(status="processing")
    assert run("--only-new", "--quiet")[0] == 1
    assert run("--only-new", "--quiet") == (0, "", "")
    assert run("--only-new", "--no-record")[0] == 2


def test_what_is_silenced_is_0(database_url: str) -> None:
    a_file("a", "processing")
    assert check_consistency(STALE, database_url=database_url).returncode == 1
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    ended = check_consistency(STALE, database_url=database_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 found, 1 acknowledged" in ended.stdout


def test_another_scan_under_way_is_3_or_0_if_asked_to_skip(database_url: str) -> None:
    with Recorder("default", trigger="command", actor="", seconds=30):
        ended = check_consistency(database_url=database_url)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr == "another scan of database 'default' is under way: try again when it is done.\n"
        ended = check_consistency("--skip-if-running", database_url=database_url)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert check_consistency("--no-record", database_url=database_url).returncode == 0


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_a_scan_that_saw_less_than_the_last_recorded_one_is_3_or_0_if_asked_to_skip(how: str) -> None:
    recorded()
    Scan.objects.update(snapshot_at=in_days(1))
    code, out, err = run(STALE, "--format", how)
    assert (code, "with a later snapshot" in err, len(err.splitlines())) == (3, True, 1)
    # Of a stream what was found before is out; the line that says how it ended never comes.
    assert "complete" not in out
    # Said though skipped: a clock that was set back stays so, and cron would record nothing and look well.
    code, _, told = run(STALE, "--format", how, "--skip-if-running")
    assert (code, told.partition("; this scan")[0]) == (0, err.partition("; this scan")[0])
    assert run(STALE, "--format", how, "--no-record")[0] == 0
    assert Scan.objects.count() == 1


def test_without_our_tables_the_report_stands_and_stderr_says_why(elsewhere: Platform) -> None:
    elsewhere.sql("INSERT INTO files (file_uuid, file_name, status) VALUES ('x', 'x', 'processing')")
    for how in ("text", "json", "ndjson"):
        ended = check_consistency("--format", how, database_url=elsewhere.url)
        assert ended.returncode == 1
        assert ended.stderr == (
            "Not recorded: history in database 'default': Continuity's tables are not in the database."
            " Run manage.py migrate.\n"
        )
    ended = check_consistency("--only-new", database_url=elsewhere.url)
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("forbids", "words"),
    [
        ("REVOKE ALL ON consistency_anomaly FROM {role}", "no permission to write"),
        ("ALTER ROLE {role} SET default_transaction_read_only = on", "PostgreSQL is read-only"),
    ],
)
def test_a_role_that_may_only_read_gets_its_report(elsewhere: Platform, forbids: str, words: str) -> None:
    assert manage("migrate", "--fake-initial", database_url=elsewhere.url).returncode == 0
    role, url = elsewhere.reader()
    elsewhere.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; {forbids.format(role=role)}")
    ended = check_consistency(database_url=url)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (0, 1)
    assert words in ended.stderr
    assert ended.stdout.startswith("ok at ")


def test_another_database_is_remembered_in_ours(elsewhere: Platform, database_url: str) -> None:
    elsewhere.sql("INSERT INTO files (file_uuid, file_name, status) VALUES ('x', 'x', 'processing')")
    a_file("a", "processing")
    recorded()
    ended = check_consistency(STALE, "--database", "other", database_url=database_url, DATABASE_URL_OTHER=elsewhere.url)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.endswith("1 new, 0 returned, 0 resolved\n")
    assert (anomaly("x").database, anomaly("a").state) == ("other", "new")


def test_who_it_was_is_the_user_of_the_process_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody_else")
    me = pwd.getpwuid(os.getuid()).pw_name
    assert os_user() == me
    monkeypatch.setenv("SUDO_USER", "ana")
    assert os_user() == f"{me} (sudo by ana)"
    monkeypatch.setenv("SUDO_USER", "a\x1b[31m\udcff\u202eb")
    assert os_user() == f"{me} (sudo by a\\x1b[31m\\udcff\\u202eb)"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert os_user() == "4000000000"


# --- Around it -------------------------------------------------------------------------------------------
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
def test_who_mutes_reads_when_it_ends(options: tuple[str, ...], ends: str) -> None:
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
def test_wrong_usage_is_one_sentence_and_where_to_read_on(
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
    File.objects.all().delete()
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


def test_what_is_silenced_is_shown_as_silenced_with_the_time_left() -> None:
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


def test_nothing_to_show_is_said() -> None:
    assert within("show_anomalies") == (0, "No anomalies are open.\n", "")
    assert within("show_anomalies", "--name", "a") == (0, "No anomalies match.\n", "")
    assert json.loads(within("show_anomalies", "--format", "json")[1]) == {"anomalies": []}
    assert within("show_scans") == (0, "No scan is recorded.\n", "")
    assert json.loads(within("show_scans", "--format", "json")[1]) == {"scans": []}


def test_where_there_is_more_than_is_shown_that_is_said() -> None:
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


def test_who_did_it_is_only_text_whatever_the_memory_has() -> None:
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


def test_the_memory_that_cannot_be_had_is_one_line(elsewhere: Platform) -> None:
    with moved_to(elsewhere.url):
        for command in (("show_scans",), ("show_anomalies",), ("unmute_check", STALE)):
            code, out, told = within(*command)
            assert (code, out, len(told.splitlines())) == (3, "", 1)
            assert "Run manage.py migrate" in told
