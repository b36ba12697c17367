"""The small pictures of a card: time goes to the right, more goes up."""

from datetime import UTC, datetime, timedelta

import pytest

from consistency.admin.charts import FEWEST, HEIGHT, WIDTH, strip, trend
from consistency.history.overview import SCANS, Point
from consistency.registry import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)


def points(*counts: int | None) -> list[Point]:
    """One a day, the oldest first; None is one that could not run."""
    return [
        Point(
            scan=day, at=START + timedelta(days=day), severity=Severity.WARN,
            outcome="could_not_run" if count is None else "found" if count else "clean",
            count=count, error="locked" if count is None else "", new=0, returned=0, duration_ms=1,
        )
        for day, count in enumerate(counts)
    ]  # fmt: skip


def line(*counts: int | None) -> list[tuple[float, float]]:
    placed = [place.split(",") for place in trend(points(*counts)).split()]
    return [(float(x), float(y)) for x, y in placed]


def test_more_is_higher_and_none_is_at_the_bottom() -> None:
    none, some, most = (y for _, y in line(0, 2, 8))
    # The picture's own axis points down.
    assert HEIGHT > none > some > most > 0
    assert none - some == pytest.approx((none - most) / 4)


def test_a_check_that_could_not_run_leaves_no_point_and_its_place_empty() -> None:
    (first, _), (third, _) = line(1, None, 1)
    assert third - first == pytest.approx(2 * WIDTH / FEWEST)


@pytest.mark.parametrize("scans", [1, 2, FEWEST, FEWEST + 1, SCANS])
def test_the_newest_scan_is_at_the_right_end_however_few_there_are(scans: int) -> None:
    cells = strip(points(*[0] * (scans - 1), 5))
    assert len(cells) == scans
    assert [cell.x for cell in cells] == sorted(cell.x for cell in cells)
    assert [cell.tone for cell in cells] == ["clean"] * (scans - 1) + ["found"]
    wide = WIDTH / max(FEWEST, scans)
    assert cells[-1].x == pytest.approx(WIDTH - wide, abs=0.1)
    assert line(*[0] * (scans - 1), 5)[-1][0] == pytest.approx(WIDTH - wide / 2, abs=0.1)


def test_all_scans_fill_the_strip_from_its_left_end() -> None:
    assert strip(points(*[1] * SCANS))[0].x == 0
