"""What is forgotten, and when: old scans and long resolved anomalies, a few rows at a time. Mutes stay: people make
them one by one, and who silenced what is asked years later.
"""

import logging
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import models, transaction
from django.utils import timezone

from consistency.budget import Budget
from consistency.memory.silence import MEMORY
from consistency.models.memory import Anomaly, Scan, ScanCheck

logger = logging.getLogger(__name__)

BATCH: Final = 1000
SECONDS: Final = 2.0
"""For all batches after one scan; the rest waits for the next one."""


def prune() -> None:
    """Forget what is past its days. Never raises for the database: a scan is recorded, forgetting can wait."""
    budget = Budget(SECONDS)
    try:
        while budget.left() and (_some_scans() | _some_anomalies()):
            pass
    except DatabaseError:
        logger.warning("Old scans and anomalies could not be pruned", exc_info=True)


def _some_scans() -> bool:
    old = Scan.objects.using(MEMORY).filter(recorded_at__lt=_before(settings.CONSISTENCY_KEEP_SCANS))
    with transaction.atomic(using=MEMORY):
        some = _free(old.order_by("recorded_at"))
        ScanCheck.objects.using(MEMORY).filter(scan__in=some)._raw_delete(MEMORY)
        Scan.objects.using(MEMORY).filter(pk__in=some)._raw_delete(MEMORY)
    return len(some) == BATCH


def _some_anomalies() -> bool:
    old = Anomaly.objects.using(MEMORY).filter(resolved_at__lt=_before(settings.CONSISTENCY_KEEP_RESOLVED))
    with transaction.atomic(using=MEMORY):
        some = _free(old.order_by("resolved_at"))
        Anomaly.objects.using(MEMORY).filter(pk__in=some)._raw_delete(MEMORY)
    return len(some) == BATCH


def _before(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


def _free(rows: "models.QuerySet[Any, Any]") -> list[int]:
    # Those that nobody holds: a recording in which one of them returns may take minutes, and is not waited for.
    return list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
