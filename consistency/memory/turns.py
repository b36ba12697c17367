"""Who changes many anomalies takes turns, so that nobody waits for rows in another order: that would be a deadlock."""

from typing import Any, Final

from django.db import connections

from consistency.memory.silence import MEMORY

TURN: Final = 0x636F6E74


def take_turn() -> None:
    """In a transaction of few rows: wait for recordings that write, and hold the next ones up until its end."""
    with connections[MEMORY].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [TURN])


def take_turn_to_record(cursor: Any) -> None:
    """In a recording's transaction: wait for such a one; recordings of other databases go on beside it."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [TURN])
