"""Scans that are remembered, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone

from consistency.history.recorder import Recorded, scan_and_record
from consistency.models import File
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, CheckError
from consistency.scan.report import Outcome

STALE, REST = "stale_processing", "unregistered_with_uuid"


def recorded(*names: str, **more: Any) -> Recorded:
    """Scan these checks, or the stale files, and record it."""
    done = scan_and_record([CHECKS[name] for name in names or (STALE,)], actor="tester", **more)
    assert done.problem is None
    return done


def news(*names: str, **more: Any) -> tuple[int, int, int, int]:
    """New, returned, resolved, ongoing of such a scan."""
    scan = recorded(*names, **more).scan
    assert scan
    return scan.news.new, scan.news.returned, scan.news.resolved, scan.news.ongoing


def outcome(done: Recorded, name: str = STALE) -> Outcome:
    return next(outcome for outcome in done.report.outcomes if outcome.check.name == name)


def anomaly(object_id: str, check: str = STALE) -> Anomaly:
    return Anomaly.objects.get(check_name=check, object_id=object_id)


def in_days(days: float) -> Any:
    return timezone.now() + timedelta(days=days)


@dataclass
class Mood:
    """Whether a check can be asked."""

    bad: bool = False


def moody(define: Any) -> Mood:
    """Define a check `moody` over files that are processing, which cannot run while its mood is bad."""
    mood = Mood()

    def processing() -> Any:
        if mood.bad:
            raise CheckError("not today")
        return File.objects.processing()

    define("moody", processing)
    return mood


@contextmanager
def holding(statement: str) -> Iterator[None]:
    """While another session is in a transaction with this."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(statement)
        yield
        other.rollback()
