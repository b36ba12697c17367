"""Notices: sent by the command before its end, by servers in a thread, and never by a dry run."""

import json
from typing import Any

import pytest
from django.core import mail

from config.demo.process import until
from consistency.history.scanning import record_scan
from consistency.models.history import Anomaly, AnomalyEvent, Scan
from consistency.notices.delivery import notify_later
from consistency.notices.notice import RECOVERED
from tests.consistency.data import a_file, delete_files
from tests.consistency.notices.data import stale
from tests.consistency.notices.receivers import SECRET, Receive, hanging, point, sending
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_the_command_sends_a_message_before_its_end_and_none_for_ongoing_findings(receive: Receive) -> None:
    received = receive(200)
    a_file("one", "processing")
    assert run()[0] == 1
    assert len(received) == 1
    assert run()[0] == 1
    assert len(received) == 1
    delete_files()
    assert run("--quiet") == (0, "", "")
    assert [change["change"] for change in json.loads(received[1][1])["changes"]] == [RECOVERED, RECOVERED]


def test_a_notice_that_is_not_sent_changes_no_exit_code_and_stderr_says_why(receive: Receive) -> None:
    receive(404)
    a_file("one", "processing")
    code, out, err = run("--format", "json")
    assert (code, json.loads(out)["recorded"]["new"]) == (1, 2)
    assert err == "Notice not sent: webhook: answered with HTTP 404.\n"


def test_a_server_sends_without_waiting(settings: Any, receive: Receive) -> None:
    with hanging() as port:
        point(settings, port)
        a_file("one", "processing")
        notify_later(record_scan(stale(), trigger="rest"))
        assert sending(), "the thread waits for an answer"
    received = receive(200)
    a_file("two", "processing")
    notify_later(record_scan(stale(), trigger="rest"))
    assert any(received for _ in until(10))


def test_without_recording_no_message_is_sent(receive: Receive) -> None:
    received = receive(200)
    a_file("one", "processing")
    assert run("--no-record")[0] == 1
    assert received == []


# --- Dry run ---------------------------------------------------------------------------------------------
def test_a_dry_run_shows_the_message_sends_and_records_nothing(receive: Receive, settings: Any) -> None:
    received = receive(200)
    settings.ADMINS = [("", "ops@example.com")]
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "stale_processing")
    assert (code, err, received, mail.outbox) == (1, "", [], [])
    assert "Would be sent to webhook and e-mail." in out
    assert '"change": "new"' in out
    assert SECRET not in out
    assert "hunter2" not in out
    assert (Scan.objects.count(), Anomaly.objects.count(), AnomalyEvent.objects.count()) == (0, 0, 0)
    run("stale_processing")
    assert len(received) == 1, "still new"
    assert "No notice: no check is new" in run("--dry-run-notices", "stale_processing")[1]


def test_a_dry_run_leaves_a_report_for_programs_alone() -> None:
    a_file("one", "processing")
    code, out, err = run("--dry-run-notices", "--format", "json")
    assert (code, json.loads(out)["recorded"]) == (1, None)
    assert "nobody: neither CONSISTENCY_WEBHOOK_URL nor ADMINS is set" in err


def test_a_dry_run_needs_the_history() -> None:
    code, _, err = run("--dry-run-notices", "--no-record")
    assert (code, "--dry-run-notices needs a recorded scan" in err) == (2, True)


def test_a_recording_that_is_not_kept_returns_its_changes_and_frees_the_lock() -> None:
    a_file("one", "processing")
    for _ in range(2):
        recorded = record_scan(stale(), trigger="command", keep=False)
        assert recorded.scan
        assert (recorded.scan.changes.new, Anomaly.objects.count(), Scan.objects.count()) == (1, 0, 0)
