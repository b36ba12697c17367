"""`show_anomalies`: the order of the rows, review, and resolved anomalies."""

import json

import pytest

from common.times import format_instant
from consistency.history.suppression import mark_reviewed
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, recorded
from tests.consistency.processes import within

pytestmark = pytest.mark.usefixtures("transactional_db")


def shown(*arguments: str) -> list[str]:
    out = within("show_anomalies", *arguments, "--format", "json")[1]
    return [row["object_id"] for row in json.loads(out)["anomalies"]]


def test_severe_anomalies_come_first_then_new_anomalies() -> None:
    a_file("older", "processing")
    recorded(STALE, REST)
    a_file("warn", "processing")
    a_file("info", "unregistered")
    recorded(STALE, REST)
    assert shown() == shown("--state", "all") == ["warn", "older", "info"]
    assert "info" not in within("show_anomalies", "--limit", "2")[1].splitlines()[1:]
    assert [line.split()[1] for line in within("show_anomalies")[1].splitlines()[1:]] == ["warn", "warn", "info"]


def test_anomalies_that_need_review() -> None:
    for name in "ab":
        a_file(name, "processing")
    recorded(STALE)
    mark_reviewed([anomaly("a").pk], by="ana")
    assert shown("--needs-review") == shown("--review", "needed") == ["b"]
    mark_reviewed([anomaly("b").pk], by="ana")
    assert within("show_anomalies", "--needs-review") == (0, "No anomalies match.\n", "")


def test_resolved_anomalies_are_shown_with_time_and_scan() -> None:
    for name in "abc":
        a_file(name, "processing")
    recorded(STALE)
    for name in "ba":
        delete_files(file_uuid=name)
        last = recorded(STALE).scan
    assert last
    assert shown("--resolved-since", "24h") == ["a", "b"]
    assert shown("--resolved-since", "2999-01-01T00:00:00Z") == []
    row = within("show_anomalies", "--resolved-since", "24h")[1].splitlines()[1]
    resolved_at = anomaly("a").resolved_at
    assert resolved_at
    assert f"{format_instant(resolved_at)} by scan {last.id}" in row
    wrong = within("show_anomalies", "--resolved-since", "soon")
    assert (wrong[0] in (1, 2), wrong[1], "resolved_since: 'soon' is no time" in wrong[2]) == (True, "", True)
