"""REST and command report the same suppressions of the same scan."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from consistency.history.suppression import acknowledge, mute
from tests.consistency.data import a_file
from tests.consistency.history.data import anomaly, in_days, recorded
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")
ORPHANED = "orphaned_processing"


@pytest.fixture
def client(client: Client, transactional_db: None) -> Iterator[Client]:
    """Sign ana in; three files are orphaned, of which one is acknowledged; the check is muted."""
    for name in "abc":
        a_file(name, "processing")
    a_file("rest", "unregistered")
    recorded(ORPHANED)
    acknowledge([anomaly("a", ORPHANED).pk], until=in_days(1), by="ana", reason="known")
    mute(ORPHANED, until=in_days(1), by="ana", reason="known")
    client.force_login(User.objects.create_user("ana"))
    yield client
    User.objects.all().delete()


def test_every_surface_shows_the_same_suppressions(client: Client) -> None:
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
    acknowledged = re.escape(f"1 acknowledged (show_anomalies --check {ORPHANED} --silenced 1)")
    muted = r"muted by ana until \S+Z \(1 day left\): known"
    assert re.search(rf"^{ORPHANED}: 3 found, {acknowledged}, {muted}$", out, re.MULTILINE)
    assert "job_id is null" not in out


@pytest.mark.parametrize("limit", [0, 2, 100])
def test_the_report_over_rest_is_that_of_the_command_without_the_recording(client: Client, limit: int) -> None:
    over_rest = client.get(f"/health/consistency?limit={limit}", secure=True).content.decode()
    over_command = json.loads(run("--format", "json", "--limit", str(limit))[1])
    assert list(over_command).pop() == "recorded"
    del over_command["recorded"]
    # Texts, so that the order of the keys counts too.
    assert _without_times(over_rest) == _without_times(json.dumps(over_command, separators=(",", ":")))


def _without_times(text: str) -> str:
    return re.sub(r'"(duration_ms":\d+|checked_at":"[^"]+")', "", text)


def test_a_scan_over_rest_writes_nothing(client: Client) -> None:
    with connection.execute_wrapper(_only_reads):
        answer = client.get("/health/consistency", secure=True)
    assert [check["count"] for check in answer.json()["checks"]] == [3, 3, 0, 1]


def _only_reads(execute: Any, statement: str, *rest: Any) -> Any:
    assert not statement.startswith(("INSERT", "UPDATE", "DELETE")), statement
    return execute(statement, *rest)
