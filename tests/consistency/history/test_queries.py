"""Queries over the runs of checks."""

import pytest

from consistency.history.overview import TREND_LENGTH, overview
from consistency.history.queries import last_attempts, last_runs, recorded_names
from consistency.history.suppression import mute
from consistency.models.history import Scan, ScanCheck
from tests.consistency.history.data import in_days

pytestmark = pytest.mark.usefixtures("transactional_db")

RUNS: dict[tuple[str, str], list[int | None]] = {
    ("a", "default"): [1, 2, None],
    ("a", "other"): [3],
    ("b", "default"): [None],
    ("c", "default"): [None, 4],
    ("c", "other"): [5, 6],
}
"""Counts of each check and database, oldest first; None for a check that could not run."""


@pytest.fixture
def results(transactional_db: None) -> dict[tuple[str, str], list[ScanCheck]]:
    stored: dict[tuple[str, str], list[ScanCheck]] = {}
    for (check, database), counts in RUNS.items():
        for count in counts:
            scan = Scan.objects.create(
                database=database, recorded_at=in_days(0), trigger="command", complete=True, status="ok", duration_ms=1
            )
            result = ScanCheck.objects.create(
                scan=scan, check_name=check, database=database, severity=2, outcome="found", count=count, duration_ms=1
            )
            stored.setdefault((check, database), []).append(result)
    return stored


def test_the_last_run_and_the_last_attempt_of_each_check(results: dict[tuple[str, str], list[ScanCheck]]) -> None:
    runs = {key: [row for row in rows if row.count is not None] for key, rows in results.items()}
    expected = {rows[-1] for rows in runs.values() if rows}
    assert set(last_runs()) == expected
    assert set(last_runs("other")) == {row for row in expected if row.database == "other"}
    for database in ("default", "other"):
        attempts = {check: rows[-1] for (check, on), rows in results.items() if on == database}
        assert last_attempts(database) == attempts
    mute("d", until=in_days(1), by="ana", reason="x", sticky=True)
    assert recorded_names() == sorted([*RUNS, ("d", "default")])


def test_without_runs_there_is_no_last_run() -> None:
    assert (list(last_runs()), last_attempts("default"), recorded_names()) == ([], {}, [])
    assert overview().cards == []


def test_a_trend_has_the_last_results_oldest_first(results: dict[tuple[str, str], list[ScanCheck]]) -> None:
    scan = Scan.objects.latest("pk")
    more = [
        ScanCheck(scan=scan, check_name="e", database="other", severity=2, outcome="clean", count=0, duration_ms=1)
        for _ in range(TREND_LENGTH + 1)
    ]
    ScanCheck.objects.bulk_create(more)
    trends = {card.name: list(card.runs) for card in overview("other").cards}
    assert {name: len(runs) for name, runs in trends.items()} == {"a": 1, "c": 2, "e": TREND_LENGTH}
    assert trends["c"] == results["c", "other"]
