"""Acknowledged and muted findings are counted and shown, do not decide the status, and the suppression ends itself."""

from typing import Any

import pytest
from django.utils import timezone

from consistency.history.locks import LOCK, AnomaliesLockedError
from consistency.history.overview import overview
from consistency.history.queries import with_comments
from consistency.history.scanning import read_scan
from consistency.history.serializers import AnomalySerializer
from consistency.history.suppression import (
    SuppressionError,
    acknowledge,
    assign,
    comment,
    end_acknowledgement,
    mute,
)
from consistency.models import File
from consistency.models.history import Anomaly, AnomalyEvent, Mute
from consistency.registry import CHECKS, Finding
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, delete_files
from tests.consistency.history.data import STALE, anomaly, events, holding, in_days, outcome, recorded
from tests.consistency.processes import within

pytestmark = pytest.mark.usefixtures("transactional_db")
ORPHANED = "orphaned_processing"


def suppressed(name: str = STALE) -> tuple[int | None, int, int, str]:
    """Return count, acknowledged, muted and status of a scan that is not recorded."""
    report = read_scan([CHECKS[name]])
    found = report.outcomes[0]
    return found.count, found.acknowledged, found.muted, report.status


def acknowledged(*names: str, check: str = STALE, days: float = 1) -> int:
    keys = Anomaly.objects.filter(check_name=check, object_id__in=names).values_list("pk", flat=True)
    return acknowledge(keys, until=in_days(days), by="ana", reason="known")


def last_event(name: str, check: str = STALE) -> tuple[str, str, str, int | None]:
    """Return kind, author, text and scan of the last event of an anomaly."""
    event = anomaly(name, check).events.latest("id")
    return event.kind, event.by, event.text, event.scan


# --- Acknowledgements ------------------------------------------------------------------------------------
def test_an_acknowledged_anomaly_is_counted_and_does_not_decide_the_status() -> None:
    a_file("a", "processing")
    a_file("b", "processing")
    recorded()
    assert acknowledged("a") == 1
    assert suppressed() == (2, 1, 0, "degraded")
    assert acknowledged("b") == 1
    assert suppressed() == (2, 2, 0, "ok")
    assert (outcome(recorded()).acknowledged, anomaly("a").acknowledged_by) == (2, "ana")
    assert end_acknowledgement([anomaly("a").pk]) == 1
    assert suppressed() == (2, 1, 0, "degraded")


def test_an_acknowledgement_ends_at_its_time_and_the_next_scan_removes_it() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(acknowledged_until=in_days(-0.001))
    assert suppressed() == (1, 0, 0, "degraded")
    assert not anomaly("a").is_acknowledged
    scan = recorded().scan
    assert scan
    assert (anomaly("a").acknowledged_by, anomaly("a").acknowledged_until) == (None, None)
    assert last_event("a") == ("acknowledgement_ended", "", "the time was over", scan.id)


def test_an_acknowledgement_ends_when_the_detail_changes() -> None:
    a_file("a", "processing", job=1)
    recorded(ORPHANED)
    acknowledged("a", check=ORPHANED)
    assert suppressed(ORPHANED)[1] == 1
    File.objects.update(job_id=2)
    assert suppressed(ORPHANED) == (1, 0, 0, "degraded")
    assert recorded(ORPHANED).report.status == "degraded"
    assert suppressed(ORPHANED) == (1, 0, 0, "degraded")
    assert anomaly("a", ORPHANED).acknowledged_by is None
    assert last_event("a", ORPHANED)[2] == "the detail changed"
    File.objects.update(job_id=1)
    assert suppressed(ORPHANED) == (1, 0, 0, "degraded")


def test_an_acknowledgement_ends_when_the_anomaly_returns() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    File.objects.update(status="completed")
    recorded()
    File.objects.update(status="processing")
    assert suppressed() == (1, 0, 0, "degraded")
    recorded()
    assert anomaly("a").acknowledged_until is None
    assert events("a") == ["found", "acknowledged", "resolved", "acknowledgement_ended", "returned"]


def test_an_acknowledgement_outlives_scans_that_change_nothing() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    for _ in range(2):
        assert recorded().report.status == "ok"
    assert (anomaly("a").acknowledged_reason, anomaly("a").state) == ("known", "ongoing")
    assert events("a") == ["found", "acknowledged"]


def test_text_that_postgresql_cannot_store_is_acknowledged_as_it_is_stored(define: Define) -> None:
    def external(using: str) -> Any:
        yield Finding(object_type="thing", object_id="\0\udcff", detail="nul \0, half a pair \ud800, 'x' \\ \t")

    define("external", external, detail=None)
    recorded("external")
    assert acknowledge([Anomaly.objects.get().pk], until=in_days(1), by="ana", reason="known") == 1
    assert suppressed("external") == (1, 1, 0, "ok")
    assert outcome(recorded("external"), "external").acknowledged == 1


def test_a_resolved_anomaly_is_shown_as_acknowledged_nowhere_though_its_row_has_the_end() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    delete_files()
    recorded()
    assert anomaly("a").acknowledged_until
    assert not anomaly("a").is_acknowledged
    assert (
        AnomalySerializer(with_comments(Anomaly.objects.all()).get(), context={"mutes": []}).data["acknowledged"]
        is None
    )
    assert "acknowledged" not in within("show_anomalies", "--state", "resolved")[1]


def test_an_object_that_a_check_returns_twice_is_acknowledged_once(define: Define) -> None:
    """The object is one anomaly: the count stays two, and no surface takes the second row for suppressed."""

    def twice(using: str) -> Any:
        for _ in range(2):
            yield Finding(object_type="thing", object_id="1", detail="same")

    define("twice", twice, detail=None)
    recorded("twice")
    acknowledge([Anomaly.objects.get().pk], until=in_days(1), by="ana", reason="known")
    assert suppressed("twice") == (2, 1, 0, "degraded")
    [card] = overview().cards
    assert (card.open, card.acknowledged, card.unsuppressed) == (2, 1, 1)
    mute("twice", until=in_days(1), by="ana", reason="known")
    assert suppressed("twice") == (2, 1, 1, "ok")


def test_an_acknowledgement_past_its_time_cannot_be_ended() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(acknowledged_until=in_days(-0.001))
    assert end_acknowledgement([anomaly("a").pk]) == 0


def test_a_resolved_anomaly_is_not_acknowledged() -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    recorded()
    assert acknowledged("a") == 0
    assert events("a") == ["found", "resolved"]


@pytest.mark.parametrize(("days", "by", "reason"), [(91, "a", "b"), (-1, "a", "b"), (1, " ", "b"), (1, "a", "")])
def test_a_suppression_without_a_valid_end_author_or_reason_is_refused(days: float, by: str, reason: str) -> None:
    with pytest.raises(SuppressionError):
        acknowledge([1], until=in_days(days), by=by, reason=reason)
    with pytest.raises(SuppressionError):
        mute(STALE, until=in_days(days * 5), by=by, reason=reason)


def test_a_suppression_on_one_database_does_not_suppress_on_another() -> None:
    a_file("a", "processing")
    recorded()
    acknowledged("a")
    Anomaly.objects.update(database="archive")
    assert suppressed() == (1, 0, 0, "degraded")
    mute(STALE, until=in_days(1), by="ana", reason="known")
    Mute.objects.update(database="archive")
    assert suppressed() == (1, 0, 0, "degraded")


# --- Events of actions -----------------------------------------------------------------------------------
def test_each_action_is_an_event_with_author_and_text() -> None:
    for name in "ab":
        a_file(name, "processing")
    recorded()
    keys = [anomaly(name).pk for name in "ab"]
    until = in_days(1)
    assert acknowledge(keys, until=until, by="ana", reason="known") == 2
    assert assign(keys, to="bob", by="ana", reason="your disk") == 2
    assert assign(keys, to=None, by="bob") == 2
    assert comment(keys, text="seen before", by="bob") == 2
    assert end_acknowledgement(keys, by="ana", reason="not known") == 2
    for name in "ab":
        rows = anomaly(name).events.exclude(kind="found").order_by("id").values_list("kind", "by", "text", "scan")
        assert list(rows) == [
            ("acknowledged", "ana", f"until {until:%Y-%m-%d %H:%M} UTC: known", None),
            ("assigned", "ana", "to bob: your disk", None),
            ("assigned", "bob", "to nobody", None),
            ("commented", "bob", "seen before", None),
            ("acknowledgement_ended", "ana", "not known", None),
        ]
        assert anomaly(name).assignee is None
    assert AnomalyEvent.objects.filter(at__gt=timezone.now()).count() == 0


def test_an_action_on_unknown_anomalies_changes_nothing() -> None:
    assert acknowledge([1, 2], until=in_days(1), by="ana", reason="known") == 0
    assert not AnomalyEvent.objects.exists()


def test_an_action_waits_for_a_recording_for_a_bounded_time() -> None:
    a_file("a", "processing")
    recorded()
    key = anomaly("a").pk
    with holding(f"SELECT pg_advisory_xact_lock({LOCK}, 0)"), pytest.raises(AnomaliesLockedError, match="try again"):
        acknowledge([key], until=in_days(1), by="ana", reason="known", wait=0.1)
    assert events("a") == ["found"]
    assert acknowledge([key], until=in_days(1), by="ana", reason="known") == 1
