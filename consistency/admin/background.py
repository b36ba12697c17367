"""An act on more anomalies than a page can wait for: some at a time, each time with how far it is in the log."""

import logging
from array import array
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Final

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consistency.memory.silence import MEMORY
from consistency.memory.turns import take_turn
from consistency.models.memory import Anomaly

logger = logging.getLogger(__name__)

BATCH: Final = 5000
"""So many are changed, and the log brought up to date, in one transaction of about a second: no scan waits longer."""
SO_FAR: Final = "So far "
EARLY: Final = "Ended early, after "
SILENT: Final = timedelta(minutes=3)
"""A recording may hold a batch up for two; who has not been heard of for longer is no more."""
SESSION: Final = "consistency_act"


class Background:
    """Those that match now are changed in the order of their numbers; those of a process that dies stay changed, and
    the log's line says how many they are.
    """

    def __init__(self, entry: LogEntry, found: "QuerySet[Anomaly]", change: Callable[[list[int]], int]) -> None:
        self.entry, self.found, self.change = entry, found, change
        self.words = entry.change_message
        self.changed = 0

    def start(self) -> Thread:
        """Begin; the thread can be waited for."""
        self.entry.change_message = f"{SO_FAR}none of {self.words}"
        self.entry.save(using=MEMORY)
        thread = Thread(target=self._run, name="consistency-act", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            self._all()
        except Exception:
            logger.exception("%s: ended early, after %s", self.words, self.changed)
            self._early()
        finally:
            connections.close_all()

    def _all(self) -> None:
        chosen = self.found.order_by("pk").values_list("pk", flat=True)
        # In a transaction: outside one, PostgreSQL would copy all of them first, and a pooler lose the cursor.
        with transaction.atomic(using=MEMORY):
            keys = array("q", chosen.iterator(chunk_size=10_000))
        for start in range(0, len(keys), BATCH):
            with transaction.atomic(using=MEMORY):
                take_turn()
                changed = self.changed + self.change(keys[start : start + BATCH].tolist())
                self._log(f"{SO_FAR}{changed:,} of {len(keys):,} {self.words}")
            self.changed = changed
        self._log(f"{self.changed:,} {self.words}")

    def _early(self) -> None:
        try:
            self._log(f"{EARLY}{self.changed:,} {self.words}")
        except DatabaseError:
            logger.exception("The admin's log could not be told")

    def _log(self, words: str) -> None:
        LogEntry.objects.using(MEMORY).filter(pk=self.entry.pk).update(change_message=words, action_time=timezone.now())


def tell(request: HttpRequest) -> None:
    """Say on the page how far the last such act of this session is, and once how it ended."""
    number = request.session.get(SESSION)
    entry = LogEntry.objects.using(MEMORY).filter(pk=number).first() if number else None
    if entry is None:
        return
    level, words = _standing(entry)
    messages.add_message(request, level, words)
    if level != messages.INFO:
        del request.session[SESSION]


def _standing(entry: LogEntry) -> tuple[int, str]:
    words = entry.change_message
    if words.startswith(SO_FAR):
        if timezone.now() - entry.action_time < SILENT:
            return messages.INFO, f"Under way. {words}"
        words = words.replace(SO_FAR, EARLY, 1)
    if words.startswith(EARLY):
        return messages.WARNING, f"{words}. Those stay changed; do it again for the others."
    return messages.SUCCESS, f"Done: {words}"
