"""An anomaly needs review from the moment it is found or returns, until a person looks at it or it resolves."""

from collections.abc import Callable

import pytest

from consistency.history.queries import needs_review
from consistency.history.suppression import acknowledge, assign, mark_reviewed, mute
from consistency.models.history import Anomaly, AnomalyEvent, Category, EventKind
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def waiting() -> set[tuple[str, str]]:
    """Return check and object of the anomalies that need review."""
    return set(Anomaly.objects.filter(needs_review()).values_list("check_name", "object_id"))


ACTIONS: dict[str, Callable[[int], int]] = {
    "reviewed": lambda key: mark_reviewed([key], by="ana"),
    "acknowledged": lambda key: acknowledge(
        [key], until=in_days(1), by="ana", reason="known", category=Category.EXPECTED
    ),
    "assigned": lambda key: assign([key], to="bob", by="ana"),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_person_reviews_a_new_and_a_returned_anomaly(action: Callable[[int], int]) -> None:
    a_file("a", "processing")
    recorded()
    recorded()
    assert len(waiting()) == 1
    for _ in range(2):
        assert action(anomaly("a").pk) == 1
        recorded()
        assert waiting() == set()
        delete_files()
        recorded()
        assert waiting() == set()
        a_file("a", "processing")
        recorded()
        assert waiting() == {(STALE, "a")}


def test_a_mark_is_one_event_and_is_not_repeated() -> None:
    a_file("a", "processing")
    recorded()
    key = anomaly("a").pk
    assert mark_reviewed([key], by="ana") == 1
    assert mark_reviewed([key], by="bob") == 0
    events = AnomalyEvent.objects.filter(anomaly=key, kind=EventKind.REVIEWED)
    assert [(event.by, event.text) for event in events] == [("ana", "")]


def test_an_assignment_to_nobody_is_no_review() -> None:
    a_file("a", "processing")
    recorded()
    before = waiting()
    assign([anomaly("a").pk], to=None, by="ana")
    assert waiting() == before


def test_a_muted_check_waits_for_no_review() -> None:
    a_file("a", "processing")
    recorded()
    mute(STALE, until=in_days(1), by="ana", reason="known")
    assert STALE not in {check for check, _ in waiting()}


@pytest.mark.parametrize(
    ("detail", "cause"),
    [
        ("job 17 is failed", "job _ is failed"),
        ("job 17 completed at 2026-05-18T17:30:00Z", "job _ completed at _"),
        ("no file has the file_uuid 'c81e728d-9d4c-4e2a'", "no file has the file_uuid '_'"),
        ("job_id is null", "job_id is null"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_cause_is_the_detail_without_its_numbers(detail: str, cause: str) -> None:
    a_file("a", "processing")
    recorded()
    Anomaly.objects.filter(pk=anomaly("a").pk).update(detail=detail)
    assert anomaly("a").cause == cause
