"""Open periods of an anomaly: from found or returned to resolved, by the events."""

import pytest

from consistency.history.periods import MAX_PERIODS, open_periods
from consistency.history.suppression import comment
from consistency.models.history import AnomalyEvent, EventKind
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def scan() -> int:
    """Record a scan; return its number."""
    made = recorded().scan
    assert made
    return made.id


def periods() -> list[tuple[int | None, int | None]]:
    """Return the scans that began and ended each period."""
    found = open_periods(anomaly("a"))
    return [(period.opened.scan, period.resolved.scan if period.resolved else None) for period in found]


def test_an_anomaly_has_a_period_from_each_appearance_to_its_resolution() -> None:
    scans = []
    for _ in range(2):
        a_file("a", "processing")
        scans.append(scan())
        assert periods()[0] == (scans[-1], None)
        scan()
        comment([anomaly("a").pk], text="looked at", by="ana")
        delete_files()
        scans.append(scan())
    first, second, third, fourth = scans
    assert periods() == [(third, fourth), (first, second)]


def test_the_length_of_a_period_ends_with_the_resolution_or_now() -> None:
    a_file("a", "processing")
    scan()
    AnomalyEvent.objects.update(at=in_days(-3))
    assert [period.duration for period in open_periods(anomaly("a"))] == ["3\xa0days"]
    delete_files()
    scan()
    AnomalyEvent.objects.filter(kind=EventKind.RESOLVED).update(at=in_days(-1.5))
    assert [period.duration for period in open_periods(anomaly("a"))] == ["1\xa0day, 12\xa0hours"]


def test_a_period_whose_resolution_is_not_recorded_has_no_end() -> None:
    for _ in range(2):
        a_file("a", "processing")
        scan()
        delete_files()
        scan()
    AnomalyEvent.objects.filter(pk=AnomalyEvent.objects.filter(kind=EventKind.RESOLVED).earliest("pk").pk).delete()
    assert [end is None for _, end in periods()] == [False, True]


def test_the_newest_periods_are_shown() -> None:
    a_file("a", "processing")
    scan()
    key, at = anomaly("a").pk, in_days(0)
    AnomalyEvent.objects.bulk_create(
        AnomalyEvent(anomaly_id=key, kind=kind, at=at, scan=number)
        for number in range(1000, 1000 + MAX_PERIODS)
        for kind in (EventKind.RESOLVED, EventKind.RETURNED)
    )
    assert [opened for opened, _ in periods()] == list(reversed(range(1000, 1000 + MAX_PERIODS)))
