"""A card of the overview: what of one check is silent, and whether it decides anything."""

from typing import Any

import pytest
from django.utils import timezone

from consistency.history.overview import Card, Point
from consistency.models.history import Mute
from consistency.registry import Severity
from tests.consistency.history.data import REST, STALE


def point(count: int | None, *, severity: Severity = Severity.WARN, error: str = "") -> Point:
    word = "could_not_run" if error else "found" if count else "clean"
    return Point(
        scan=1, at=timezone.now(), severity=severity, outcome=word, count=count, error=error, new=0, returned=0,
        duration_ms=1,
    )  # fmt: skip


def card(*points: Point, name: str = STALE, **more: Any) -> Card:
    told: dict[str, Any] = {"acknowledged": 0, "mute": None, "ended": None, "current": True}
    return Card(name=name, points=points or [point(3)], **(told | more))


def test_what_is_acknowledged_is_not_counted_once_more_as_muted() -> None:
    seen = card(acknowledged=1, mute=Mute())
    assert (seen.open, seen.acknowledged, seen.muted, seen.loud) == (3, 1, 2, 0)


@pytest.mark.parametrize(
    ("seen", "degraded", "tone"),
    [
        (card(), True, "bad"),
        (card(current=False), False, "past"),
        (card(point(None, error="locked"), current=False), False, "past"),
        (card(point(None, error="locked"), mute=Mute()), True, "unknown"),
        (card(acknowledged=2), True, "bad"),
        (card(acknowledged=3), False, "silent"),
        (card(mute=Mute()), False, "silent"),
        (card(point(0)), False, "clean"),
        (card(point(3, severity=Severity.INFO), name=REST), False, "told"),
        (card(name="long_gone"), False, "past"),
    ],
)
def test_what_is_heard_decides_unless_it_is_history(seen: Card, degraded: bool, tone: str) -> None:
    assert (seen.degraded, seen.tone) == (degraded, tone)


@pytest.mark.parametrize(
    ("seen", "left_out"),
    [
        (card(current=False), True),
        (card(point(2), point(None, error="locked"), current=False), True),
        (card(), False),
        (card(current=False, acknowledged=3), False),
        (card(current=False, mute=Mute()), False),
        (card(point(0), current=False), False),
        (card(point(3, severity=Severity.INFO), name=REST, current=False), False),
        (card(name="long_gone", current=False), False),
    ],
)
def test_what_is_heard_of_a_check_that_was_not_asked_is_left_out_of_the_status(seen: Card, left_out: bool) -> None:
    assert seen.left_out == left_out
    assert not (seen.left_out and seen.degraded)
