"""Who changes many anomalies takes turns with recordings, who changes few never waits while holding some: whoever
waited for rows in another order would make a deadlock.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from django.db import OperationalError, connections, transaction
from django.db.models import Q
from psycopg.errors import LockNotAvailable

from consistency.history.silence import MEMORY
from consistency.models.history import Anomaly

TURN: Final = 0x636F6E74
PATIENCE: Final = 1.5
"""Seconds to try for few rows: half of what a page may take."""
PAUSE: Final = 0.1


class HeldError(Exception):
    """Somebody else is changing some of these rows, and not just for a moment."""

    def __init__(self) -> None:
        super().__init__("A scan is being recorded: try again in a moment.")


def hold(keys: Sequence[int], fitting: Q) -> list[Anomaly]:
    """In a transaction: those of these few rows that fit, locked until its end; HeldError while others hold some."""
    wanted = Anomaly.objects.using(MEMORY).filter(fitting, pk__in=keys).order_by("pk").select_for_update(nowait=True)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            # A savepoint: without all of them, it lets go of those that it has.
            with transaction.atomic(using=MEMORY):
                return list(wanted.all())
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        if time.monotonic() > until:
            raise HeldError
        time.sleep(PAUSE)


def take_turn() -> None:
    """In a transaction of many rows, some of them: wait for recordings that write, and hold the next ones up."""
    with connections[MEMORY].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [TURN])


def take_turn_to_record(cursor: Any) -> None:
    """In a recording's transaction: wait for such a one; recordings of other databases go on beside it."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [TURN])
