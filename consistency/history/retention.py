"""What is forgotten, and when: old scans and long resolved anomalies, a few rows at a time. Mutes stay: people make
them one by one, and who silenced what is asked years later. One scan of each database stays: by its age it is known
that complete ones have stopped to come.
"""

import logging
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections, models
from django.utils import timezone

from common.budget import Budget
from consistency.history.hops import scanned
from consistency.history.kinds import Listed
from consistency.history.lists import first_scan, last_complete_scan
from consistency.history.silence import MEMORY
from consistency.models.history import OPEN, Anomaly, Scan, ScanCheck
from consistency.scan.transaction import bounded, patient

logger = logging.getLogger(__name__)

BATCH: Final = 1000
SECONDS: Final = 2.0
"""For all batches after one scan; the rest waits for the next one."""
LOCKS: Final = 0.5
"""For a table that somebody holds locked; of rows those are left that somebody holds."""


def prune() -> None:
    """Forget what is past its days. Never raises for the database: a scan is recorded, forgetting can wait."""
    budget = Budget(SECONDS)
    try:
        with bounded(connections[MEMORY], SECONDS + LOCKS):
            with _batch():
                kept = _kept()
            while budget.left() and (_some_scans(kept) | _some_anomalies()):
                pass
    except DatabaseError:
        logger.warning("Old scans and anomalies could not be pruned", exc_info=True)


def _kept() -> list[int]:
    """The last complete scan of each database; where none was, the first."""
    found = [last_complete_scan(database) or first_scan(database) for database in scanned()]
    return [scan.pk for scan in found if scan]


def _some_scans(kept: list[int]) -> bool:
    old = Scan.objects.using(MEMORY).filter(recorded_at__lt=_before(settings.CONSISTENCY_KEEP_SCANS))
    old = old.exclude(pk__in=kept)
    with _batch():
        some = list(_free(old.order_by("recorded_at"))[:BATCH])
        checks = ScanCheck.objects.using(MEMORY).filter(scan__in=some)
        checks.filter(pk__in=list(_free(checks)))._raw_delete(MEMORY)
        held = checks.values_list("scan_id", flat=True)
        Scan.objects.using(MEMORY).filter(pk__in={*some}.difference(held))._raw_delete(MEMORY)
    return len(some) == BATCH


def _some_anomalies() -> bool:
    old = Anomaly.objects.using(MEMORY).filter(resolved_at__lt=_before(settings.CONSISTENCY_KEEP_RESOLVED))
    with _batch():
        some = Listed(old.filter(~OPEN).order_by("resolved_at", "appeared_at", "id")).rows(0, BATCH)
        free = list(_free(old.filter(pk__in=[anomaly.pk for anomaly in some])))
        Anomaly.objects.using(MEMORY).filter(pk__in=free)._raw_delete(MEMORY)
    return len(some) == BATCH and bool(free)


def _before(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


def _batch() -> AbstractContextManager[None]:
    return patient(connections[MEMORY], SECONDS, locks=LOCKS)


def _free(rows: "models.QuerySet[Any, Any]") -> "models.QuerySet[Any, int]":
    # Those that nobody holds: a recording in which one of them returns may take minutes, and is not waited for.
    return rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
