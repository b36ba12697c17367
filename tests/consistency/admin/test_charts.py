"""The pictures of a card: time goes to the right, higher counts are higher."""

from datetime import UTC, datetime, timedelta

import pytest

from consistency.admin.charts import HEIGHT, MIN_BARS, MIN_HEIGHT, WIDTH, Bar, run_bars
from consistency.history.overview import TREND_LENGTH
from consistency.models.history import ScanCheck
from consistency.registry import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)


def runs(*counts: int | None) -> list[ScanCheck]:
    """Return a run a day, oldest first; None is a run that failed."""
    made = []
    for day, count in enumerate(counts):
        outcome = "could_not_run" if count is None else "found" if count else "clean"
        run = ScanCheck(
            severity=Severity.WARN.value, outcome=outcome, count=count, error="" if count is not None else "locked"
        )
        run.recorded_at = START + timedelta(days=day)  # type: ignore[attr-defined]  # the overview annotates it
        made.append(run)
    return made


def bars(*counts: int | None) -> list[Bar]:
    return list(run_bars(runs(*counts)))


def test_a_higher_count_is_a_higher_bar_and_a_clean_run_is_visible() -> None:
    none, some, most = bars(0, 2, 8)
    assert none.height == MIN_HEIGHT
    assert most.height == HEIGHT
    assert some.height - none.height == pytest.approx((most.height - none.height) / 4)
    # The axis of SVG points down.
    assert all(bar.y + bar.height == pytest.approx(HEIGHT) for bar in (none, some, most))


def test_a_check_that_could_not_run_keeps_its_place() -> None:
    first, failed, third = bars(1, None, 1)
    assert third.x - first.x == pytest.approx(2 * WIDTH / MIN_BARS)
    assert (failed.tone, failed.height) == ("could_not_run", MIN_HEIGHT)
    assert failed.title == "2026-01-02 00:00 UTC: locked"


@pytest.mark.parametrize("scans", [1, 2, MIN_BARS, MIN_BARS + 1, TREND_LENGTH])
def test_the_newest_scan_is_at_the_right_end_however_few_there_are(scans: int) -> None:
    made = bars(*[0] * (scans - 1), 5)
    assert len(made) == scans
    assert [bar.x for bar in made] == sorted(bar.x for bar in made)
    assert [bar.tone for bar in made] == ["clean"] * (scans - 1) + ["found"]
    assert made[-1].x == pytest.approx(WIDTH - WIDTH / max(MIN_BARS, scans), abs=0.1)


def test_all_scans_fill_the_picture_from_its_left_end() -> None:
    assert bars(*[1] * TREND_LENGTH)[0].x == 0
