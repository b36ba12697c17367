"""Delete old scans and anomalies that were resolved long ago, some rows at a time. Mutes stay: people make them.

The last run of each check stays too: the state of its anomalies is derived from that run. So does a complete scan of
each database: its age shows that complete scans have stopped.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from common.budget import Budget
from common.postgres.deadline import deadline
from consistency.history.locks import AnomaliesLockedError, bounded_transaction, changing_anomalies
from consistency.history.queries import first_scan, last_complete_scan, last_runs
from consistency.models import BackgroundTask
from consistency.models.history import Anomaly, AnomalyEvent, Scan, ScanCheck

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 1000
PRUNE_TIMEOUT: Final = 2.0
"""Seconds for the batches after a scan. The next scan deletes the rest."""
LOCK_TIMEOUT: Final = 0.5


def prune() -> None:
    """Delete history past its days. Never raises for the database: the scan is recorded, and pruning can wait."""
    budget = Budget(PRUNE_TIMEOUT)
    try:
        with deadline(PRUNE_TIMEOUT + LOCK_TIMEOUT):
            kept = _kept_scans()
            BackgroundTask.objects.filter(started_at__lt=_before(settings.CONSISTENCY_KEEP_SCANS)).delete()
            while budget.remaining() and (_prune_scans(kept) | _prune_anomalies()):
                pass
    except AnomaliesLockedError:
        pass
    except DatabaseError:
        logger.warning("Old scans and anomalies could not be pruned", exc_info=True)


def _kept_scans() -> list[int]:
    kept = set(last_runs().values_list("scan_id", flat=True))
    for database in set(last_runs().values_list("database", flat=True)):
        kept |= {scan.pk for scan in [last_complete_scan(database) or first_scan(database)] if scan}
    return list(kept)


def _prune_scans(kept: list[int]) -> bool:
    """Delete a batch of scans; return True if more may be left."""
    old = Scan.objects.filter(recorded_at__lt=_before(settings.CONSISTENCY_KEEP_SCANS)).exclude(pk__in=kept)
    keys = list(old.order_by("recorded_at").values_list("pk", flat=True)[:BATCH_SIZE])
    with bounded_transaction(PRUNE_TIMEOUT, lock_timeout=LOCK_TIMEOUT):
        # Delete in SQL: the ORM would load the rows for a cascade.
        ScanCheck.objects.filter(scan_id__in=keys)._raw_delete("default")
        Scan.objects.filter(pk__in=keys)._raw_delete("default")
    return len(keys) == BATCH_SIZE


def _prune_anomalies() -> bool:
    """Delete a batch of anomalies with their events; return True if more may be left."""
    old = Anomaly._base_manager.filter(resolved_at__lt=_before(settings.CONSISTENCY_KEEP_RESOLVED))
    with changing_anomalies(LOCK_TIMEOUT):
        keys = list(old.order_by("resolved_event").values_list("pk", flat=True)[:BATCH_SIZE])
        AnomalyEvent.objects.filter(anomaly_id__in=keys)._raw_delete("default")
        Anomaly._base_manager.filter(pk__in=keys)._raw_delete("default")
    return len(keys) == BATCH_SIZE


def _before(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)
