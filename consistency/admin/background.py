"""An act on more anomalies than a page can wait for: some at a time, each time with how far it is in the log."""

import logging
from array import array
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from common.text import printable
from consistency.history.silence import MEMORY
from consistency.history.turns import take_turn
from consistency.models.history import Anomaly

logger = logging.getLogger(__name__)

BATCH: Final = 5000
"""So many are changed, and the log brought up to date, in one transaction of about a second: no scan waits longer."""
SO_FAR: Final = "So far "
EARLY: Final = "Ended early, after "
SILENT: Final = timedelta(minutes=3)
"""A recording may hold a batch up for two; who has not been heard of for longer is no more."""
COOKIE: Final = "consistency_act"
"""The number of the log's line: who began it is told how it ended. In a session, that would be written at a GET."""
_KNOWN: Final = f"""
SELECT newest.*, username FROM (SELECT * FROM {LogEntry._meta.db_table} ORDER BY id DESC LIMIT 2000) AS newest
JOIN {get_user_model()._meta.db_table} AS person ON person.id = newest.user_id
WHERE newest.id = %s AND newest.user_id = %s OR newest.change_message LIKE %s AND newest.action_time > %s
ORDER BY newest.id"""  # noqa: S608 - names of ours


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
        self._log(f"{SO_FAR}none of {self.words}")
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
        # The landing page of who acts shows what it is about, other pages the message.
        told: dict[str, Any] = {"change_message": words, "object_repr": words[:200], "action_time": timezone.now()}
        LogEntry.objects.using(MEMORY).filter(pk=self.entry.pk).update(**told)


def told(entry: LogEntry) -> str:
    """What the log's line says; of an act under way that is no more, that it ended early."""
    words: str = entry.get_change_message()
    if words.startswith(SO_FAR) and timezone.now() - entry.action_time >= SILENT:
        return words.replace(SO_FAR, EARLY, 1)
    return words


def remember(answer: HttpResponse, entry: LogEntry) -> None:
    """Let who began this act be told on the list how it ends."""
    answer.set_cookie(
        COOKIE, str(entry.pk), path=_list(), httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )


def tell(request: HttpRequest) -> bool:
    """Say on the list how far the acts under way are, whoever began them, and how the last one of who looks ended;
    returns whether that is said, and to `forget`. One question.
    """
    asked = request.COOKIES.get(COOKIE, "")
    number = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
    since = timezone.now() - SILENT
    known = LogEntry.objects.using(MEMORY).raw(_KNOWN, [number, request.user.pk, f"{SO_FAR}%", since])
    over = bool(asked)
    entry: Any  # with a name that the log's model has not
    for entry in known:
        level, words = _standing(entry)
        if level == messages.INFO and entry.user_id != request.user.pk:
            words = words.replace("Under way.", f"Under way, begun by {printable(entry.username)}.", 1)
        messages.add_message(request, level, words)
        over = over and not (entry.pk == number and level == messages.INFO)
    return over


def forget(answer: HttpResponse) -> None:
    """It is told once."""
    answer.delete_cookie(COOKIE, path=_list(), samesite="Lax")


def _list() -> str:
    return reverse("admin:consistency_anomaly_changelist")


def _standing(entry: LogEntry) -> tuple[int, str]:
    words = told(entry)
    if words.startswith(SO_FAR):
        return messages.INFO, f"Under way. {words}"
    if words.startswith(EARLY):
        return messages.WARNING, f"{words}. Those stay changed; do it again for the others."
    return messages.SUCCESS, f"Done: {words}"
