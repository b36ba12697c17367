"""A card of the overview: the suppressed anomalies of a check, and whether the check decides the status."""

from typing import Any

import pytest

from consistency.history.overview import Card
from consistency.models.history import Mute, ScanCheck
from consistency.registry import Severity
from tests.consistency.history.data import REST, STALE


def run(count: int | None, *, severity: Severity = Severity.WARN, error: str = "") -> ScanCheck:
    outcome = "could_not_run" if error else "found" if count else "clean"
    return ScanCheck(scan_id=1, severity=severity.value, outcome=outcome, count=count, error=error, duration_ms=1)


def card(*runs: ScanCheck, name: str = STALE, **values: Any) -> Card:
    defaults: dict[str, Any] = {"acknowledged": 0, "mute": None, "ended": None, "current": True}
    return Card(name=name, runs=runs or [run(3)], **(defaults | values))


def test_acknowledged_anomalies_do_not_count_as_muted_too() -> None:
    both = card(acknowledged=1, mute=Mute())
    assert (both.open, both.acknowledged, both.muted, both.unsuppressed) == (3, 1, 2, 0)


@pytest.mark.parametrize(
    ("shown", "degraded", "tone"),
    [
        (card(), True, "bad"),
        (card(current=False), False, "past"),
        (card(run(None, error="locked"), current=False), False, "past"),
        (card(run(None, error="locked"), mute=Mute()), True, "unknown"),
        (card(acknowledged=2), True, "bad"),
        (card(acknowledged=3), False, "suppressed"),
        (card(mute=Mute()), False, "suppressed"),
        (card(run(0)), False, "clean"),
        (card(run(3, severity=Severity.INFO), name=REST), False, "info"),
        (card(name="long_gone"), False, "past"),
    ],
)
def test_unsuppressed_anomalies_above_info_degrade_unless_the_card_is_history(
    shown: Card, degraded: bool, tone: str
) -> None:
    assert (shown.degraded, shown.tone) == (degraded, tone)


@pytest.mark.parametrize(
    ("shown", "left_out"),
    [
        (card(current=False), True),
        (card(run(2), run(None, error="locked"), current=False), True),
        (card(), False),
        (card(current=False, acknowledged=3), False),
        (card(current=False, mute=Mute()), False),
        (card(run(0), current=False), False),
        (card(run(3, severity=Severity.INFO), name=REST, current=False), False),
        (card(name="long_gone", current=False), False),
    ],
)
def test_the_status_leaves_out_a_check_that_the_last_complete_scan_did_not_run(shown: Card, left_out: bool) -> None:
    assert shown.left_out == left_out
    assert not (shown.left_out and shown.degraded)
