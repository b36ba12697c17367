"""Conditions that hold for each stored anomaly and its events."""

from consistency.models.history import Anomaly, AnomalyEvent


def check_times(anomaly: Anomaly) -> None:
    assert (anomaly.resolved_at is not None) is (anomaly.state == "resolved")
    assert anomaly.first_seen <= anomaly.appeared_at <= anomaly.last_seen
    assert (anomaly.appeared_at > anomaly.first_seen) is (anomaly.returned_count > 0)
    if anomaly.state != "resolved":
        assert (anomaly.appeared_at != anomaly.last_seen) is (anomaly.state == "ongoing")


def check_events(anomaly: Anomaly, events: list[AnomalyEvent]) -> None:
    """Compare an anomaly with its events, oldest first."""
    appeared = [event for event in events if event.kind in ("found", "returned")][-1]
    assert (anomaly.appeared_event, anomaly.appeared_at) == (appeared.pk, appeared.at)
    assert anomaly.appeared_scan == appeared.scan
    resolved = [(event.pk, event.at) for event in events if event.kind == "resolved" and event.pk > appeared.pk]
    assert (anomaly.resolved_event, anomaly.resolved_at) == (resolved[0] if resolved else (None, None))
    acknowledged = [event.kind for event in events if event.kind.startswith("acknowledge")][-1:] == ["acknowledged"]
    assert (anomaly.acknowledged_until is not None) is acknowledged
    assert (anomaly.acknowledged_by is not None) is acknowledged
