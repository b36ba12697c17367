"""An external check that misses most of its objects could not run, and an object gets a moment to appear."""

from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connections

from common.budget import Budget
from consistency.history.scanning import read_scan
from consistency.models import File
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Finding
from consistency.scan.guards import RATIO, TABLES, Guard
from tests.consistency.conftest import Define
from tests.consistency.history.data import STALE, outcome, recorded
from tests.consistency.processes import run

pytestmark = pytest.mark.usefixtures("transactional_db")

SHADOWED = "files is now shadow.files; the last scan read public.files (--accept-tables)"
MISSING = "{} of {} objects are missing (--accept-ratio)"
DATA = "missing"


class Disk:
    """An external check of `total` objects."""

    def __init__(self, define: Define) -> None:
        self.missing: list[str] = []
        self.total = 100
        define(DATA, self.findings, detail=None)

    def findings(self, using: str) -> Any:
        """A thing is missing"""
        for name in self.missing:
            yield Finding(object_type="thing", object_id=name, detail="missing")
        return self.total

    def scan(self, missing: int, total: int = 100, **options: Any) -> str | int | None:
        """Record a scan; return the error or the number of findings."""
        self.missing, self.total = [str(number) for number in range(missing)], total
        result = outcome(recorded(DATA, **options), DATA)
        return result.error or result.count


@pytest.fixture
def disk(define: Define) -> Disk:
    return Disk(define)


@pytest.mark.parametrize(("missing", "total"), [(30, 100), (99, 99), (0, 0)])
def test_a_plausible_share_of_missing_objects_is_found(disk: Disk, missing: int, total: int) -> None:
    assert disk.scan(missing, total) == missing


def test_a_check_that_misses_more_than_the_setting_could_not_run(disk: Disk, settings: Any) -> None:
    assert disk.scan(31) == MISSING.format(31, 100)
    assert disk.scan(254_826 // 100, 2600) == MISSING.format("2,548", "2,600")
    assert not Anomaly.objects.exists()
    settings.CONSISTENCY_MAX_MISSING = 98
    assert disk.scan(31) == 31


def test_an_accepted_share_is_accepted_by_every_scan_and_a_larger_loss_is_not(disk: Disk) -> None:
    disk.scan(50)
    code, _, err = run(DATA, "--accept-ratio")
    assert (code, err) == (1, "")
    assert read_scan([CHECKS[DATA]]).outcomes[0].count == 50
    # 30 % of the other 50 objects may be missing, too.
    assert disk.scan(65) == 65
    assert disk.scan(66) == MISSING.format(66, 100)
    assert disk.scan(10) == 10
    # The missing objects are back, so the limit holds for all objects again.
    assert disk.scan(50) == MISSING.format(50, 100)


def test_an_accepted_state_is_accepted_with_two_passes(disk: Disk, shadow: AbstractContextManager[None]) -> None:
    disk.scan(50, accept=[RATIO])
    assert disk.scan(50, confirm=0.01) == 50
    assert disk.scan(66, confirm=0.01) == MISSING.format(66, 100)
    recorded()
    with shadow:
        assert outcome(recorded(confirm=0.01)).error == SHADOWED
        assert outcome(recorded(confirm=0.01, accept=[TABLES])).count == 0


def test_accepting_the_ratio_accepts_no_tables(disk: Disk, shadow: AbstractContextManager[None]) -> None:
    recorded()
    with shadow:
        assert outcome(recorded(accept=[RATIO])).error == SHADOWED
    assert disk.scan(50, accept=[TABLES]) == MISSING.format(50, 100)


@pytest.mark.parametrize("names", [[STALE, DATA], [DATA]])
def test_a_scan_compares_the_tables_once(disk: Disk, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    compare, compared = Guard.compare_tables, []

    def counted(guard: Guard, connection: Any, budget: Budget) -> None:
        compared.append(budget.seconds)
        compare(guard, connection, budget)

    monkeypatch.setattr(Guard, "compare_tables", counted)
    assert read_scan([CHECKS[name] for name in names], timeout=60).complete
    # The comparison leaves half of the time to a check that does not read the tables.
    assert [seconds < 31 for seconds in compared] == [True]


def test_a_check_that_does_not_count_its_objects_has_no_limit(define: Define) -> None:
    def things(using: str) -> Any:
        for number in range(200):
            yield Finding(object_type="thing", object_id=str(number), detail="missing")

    define(DATA, things, detail=None)
    assert outcome(recorded(DATA), DATA).count == 200


def by_orm(using: str) -> Any:
    yield from File.objects.using(using).values_list("file_uuid", flat=True)


def by_sql(using: str) -> Any:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT file_uuid FROM files")
        yield from (name for (name,) in cursor.fetchall())


@pytest.mark.parametrize("names", [by_orm, by_sql])
def test_an_external_check_that_reads_a_refused_table_could_not_run(
    define: Define, shadow: AbstractContextManager[None], names: Any
) -> None:
    def files(using: str) -> Any:
        for name in names(using):
            yield Finding(object_type="thing", object_id=name, detail="a file")

    define("files_on_disk", files, detail=None)
    recorded()
    with shadow:
        assert outcome(recorded("files_on_disk"), "files_on_disk").error == SHADOWED


# --- The pause of external checks ------------------------------------------------------------------------
def test_an_object_that_follows_its_row_within_the_pause_is_no_finding(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CONSISTENCY_EXTERNAL_PAUSE = 2
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        disk.missing = ["1", "2", "new"]

    monkeypatch.setattr("consistency.scan.external.sleep", sleep)
    assert disk.scan(3) == 2
    assert {found.object_id for found in Anomaly.objects.all()} == {"1", "2"}
    assert disk.scan(0) == 0
    assert pauses == [2]
