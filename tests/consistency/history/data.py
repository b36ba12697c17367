"""Recorded scans, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone

from consistency.history.scanning import Recorded, record_scan
from consistency.models import File
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, CheckError
from consistency.scan.report import Outcome

STALE, REST = "stale_processing", "unregistered_with_uuid"


def recorded(*names: str, **options: Any) -> Recorded:
    """Record a scan of these checks, or of stale_processing."""
    checks = [CHECKS[name] for name in names or (STALE,)]
    result = record_scan(checks, **{"trigger": "command", "actor": "tester"} | options)
    assert result.problem is None
    return result


def changes(*names: str, **options: Any) -> tuple[int, int, int, int]:
    """Return the numbers of new, returned, resolved and ongoing anomalies of such a scan."""
    scan = recorded(*names, **options).scan
    assert scan
    return scan.changes.new, scan.changes.returned, scan.changes.resolved, scan.changes.ongoing


def outcome(result: Recorded, name: str = STALE) -> Outcome:
    return next(outcome for outcome in result.report.outcomes if outcome.check.name == name)


def anomaly(object_id: str, check: str = STALE) -> Anomaly:
    return Anomaly.objects.get(check_name=check, object_id=object_id)


def events(object_id: str, check: str = STALE) -> list[str]:
    """Return the kinds of the events of an anomaly, oldest first."""
    return list(anomaly(object_id, check).events.order_by("id").values_list("kind", flat=True))


def in_days(days: float) -> Any:
    return timezone.now() + timedelta(days=days)


@dataclass
class Mood:
    """Decides whether a check runs."""

    bad: bool = False


def moody(define: Any) -> Mood:
    """Define a check `moody` over processing files, which cannot run while its mood is bad."""
    mood = Mood()

    def processing() -> Any:
        if mood.bad:
            raise CheckError("not today")
        return File.objects.processing()

    define("moody", processing)
    return mood


@contextmanager
def holding(statement: str) -> Iterator[None]:
    """Keep another session in a transaction with this statement."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(statement)
        yield
        other.rollback()
