"""check_consistency and the history: recording, suppressions and exit codes."""

import json
import os
import pwd
from collections.abc import Iterator

import pytest

from common.times import format_instant
from consistency.history.recorder import Recorder
from consistency.history.scanning import os_user
from consistency.history.suppression import acknowledge, end_acknowledgement, mute, unmute
from consistency.models import File
from consistency.models.history import Scan
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.consistency.processes import check_consistency, manage, run
from tests.servers import Shared

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def elsewhere(postgres_server: Shared) -> Iterator[Platform]:
    with platform(postgres_server.url) as made:
        made.sql(OWN_STYLE)
        yield made


def test_a_scan_is_recorded_and_the_report_ends_with_the_changes_also_zeros() -> None:
    a_file("a", "processing")
    assert run(STALE)[1].endswith("\n1 new, 0 returned, 0 resolved\n")
    assert run(STALE)[1].endswith("\n0 new, 0 returned, 0 resolved\n")
    delete_files()
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
def test_the_report_ends_with_the_changes_of_a_recorded_scan(options: tuple[str, ...], ends: str) -> None:
    a_file("a", "processing")
    out = run(STALE, "--limit", "0", *options)[1]
    assert out.partition("\nWould be sent to ")[0].endswith(ends)
    assert bool(out) == bool(ends)


@pytest.mark.parametrize("how", ["json", "ndjson"])
def test_json_holds_the_recording(how: str) -> None:
    a_file("a", "processing")
    out = run("--format", how)[1]
    report = json.loads(out if how == "json" else out.splitlines()[-1])
    news = {"new": 2, "returned": 0, "resolved": 0, "mutes_ended": []}
    assert report["recorded"] == {"scan": Scan.objects.get().pk} | news


def test_the_last_line_of_csv_holds_the_recording() -> None:
    a_file("a", "processing")
    assert ", new: 2, returned: 0, resolved: 0" in run("--format", "csv")[1].splitlines()[-1]
    assert ", new: 0, returned: 0, resolved: 0" in run("--format", "csv", "--limit", "0")[1].splitlines()[-1]


def test_the_last_line_of_csv_holds_the_suppressions() -> None:
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
def test_no_record_records_nothing(how: str) -> None:
    a_file("a", "processing")
    code, out, err = run("--no-record", "--format", how)
    assert (code, err, Scan.objects.count()) == (1, "", 0)
    assert "recorded" not in out


def test_a_recording_holds_all_findings_whatever_the_limit() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    for how in ("json", "ndjson", "csv"):
        run(STALE, "--limit", "1", "--format", how)
        assert anomaly("b").times_seen == Scan.objects.count()


# --- Exit codes ------------------------------------------------------------------------------------------
def test_only_new_fails_on_new_and_returned_findings_alone() -> None:
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


def test_suppressed_findings_are_0(database_url: str) -> None:
    a_file("a", "processing")
    assert check_consistency(STALE, database_url=database_url).returncode == 1
    acknowledge([anomaly("a").pk], until=in_days(1), by="ana", reason="known")
    ended = check_consistency(STALE, database_url=database_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 found, 1 acknowledged" in ended.stdout


def test_another_running_scan_is_3_or_0_with_skip_if_running(database_url: str) -> None:
    with Recorder("default", trigger="command", actor="", seconds=30):
        ended = check_consistency(database_url=database_url)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr == "another scan of database 'default' is under way: try again when it is done.\n"
        ended = check_consistency("--skip-if-running", database_url=database_url)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert check_consistency("--no-record", database_url=database_url).returncode == 0


@pytest.mark.parametrize("how", ["text", "json", "ndjson", "csv"])
def test_a_scan_of_an_older_snapshot_is_3_or_0_with_skip_if_running(how: str) -> None:
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


def test_without_the_tables_of_the_history_the_report_is_printed_and_stderr_says_why(elsewhere: Platform) -> None:
    elsewhere.sql("INSERT INTO files (file_uuid, file_name, status) VALUES ('x', 'x', 'processing')")
    for how in ("text", "json", "ndjson"):
        ended = check_consistency("--format", how, database_url=elsewhere.url)
        assert ended.returncode == 1
        assert ended.stderr == (
            "Not recorded: history in database 'default': Continuity's tables are not in the database."
            " Run manage.py migrate; attach an existing platform first (docs/operate.md).\n"
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
def test_a_role_that_may_only_read_gets_a_report(elsewhere: Platform, forbids: str, words: str) -> None:
    assert manage("migrate", "--fake-initial", database_url=elsewhere.url).returncode == 0
    # Without the history, an empty table is refused.
    elsewhere.sql("INSERT INTO files (file_uuid, file_name, status) VALUES ('a', 'a', 'completed')")
    role, url = elsewhere.reader()
    elsewhere.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; {forbids.format(role=role)}")
    ended = check_consistency(database_url=url)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (0, 1)
    assert words in ended.stderr
    assert ended.stdout.startswith("ok at ")


def test_scans_of_another_database_are_recorded_in_the_default_database(elsewhere: Platform, database_url: str) -> None:
    elsewhere.sql("INSERT INTO files (file_uuid, file_name, status) VALUES ('x', 'x', 'processing')")
    a_file("a", "processing")
    recorded()
    ended = check_consistency(STALE, "--database", "other", database_url=database_url, DATABASE_URL_OTHER=elsewhere.url)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.endswith("1 new, 0 returned, 0 resolved\n")
    assert (anomaly("x").database, anomaly("a").state) == ("other", "new")


def test_the_actor_is_the_user_of_the_process_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
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
