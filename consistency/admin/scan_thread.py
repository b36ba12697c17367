"""A scan that somebody started from a page: it runs on in a thread, and tells where it is to whoever looks."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final
from zlib import crc32

from django.core.cache import cache
from django.db import connections
from django.utils import timezone

from consistency.history.recorder import Recorded, scan_and_record
from consistency.history.silence import MEMORY
from consistency.history.writing import LOCK, AlreadyRunningError
from consistency.models.history import Scan, Trigger
from consistency.registry import Check

logger = logging.getLogger(__name__)

SECONDS: Final = 60.0
"""Per look, as on the command line."""
REMEMBERED: Final = 600
"""Seconds that progress, and how it ended, can be read."""


@dataclass(kw_only=True)
class Scanning:
    """One scan under way: `words` are there before its thread `ended`, which logs last."""

    checks: Sequence[Check]
    database: str
    actor: str
    then: Callable[[Recorded], None]
    """Called in the thread once what became of it is told, recorded or not."""
    words: str = ""
    """What became of it, for people."""
    failed: bool = False
    """Whether nothing was recorded."""
    ended: Event = field(default_factory=Event)
    asked: set[Check] = field(default_factory=set)

    def start(self) -> "Scanning":
        """Start it; a process that ends takes it along, and nothing of it is recorded."""
        Thread(target=self._run, name="consistency-scan", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            self._scan()
        except AlreadyRunningError as problem:
            self.failed, self.words = True, f"Not recorded: {problem}"
        except Exception:
            logger.exception("The scan ended early.")
            self._tell("The scan ended early; the log says why.", failed=True)
        finally:
            connections.close_all()
            self.ended.set()

    def _scan(self) -> None:
        done = scan_and_record(
            self.checks,
            database=self.database,
            trigger=Trigger.ADMIN,
            actor=self.actor,
            timeout=SECONDS,
            progress=self._at,
            before_recording=self._recording,
        )
        if done.scan:
            self._tell(f"Scan {done.scan.id}: {done.scan.news}.", failed=False)
        else:
            self._tell(f"Scanned, but not recorded: {done.problem}.", failed=True)
        self.then(done)

    def _at(self, check: Check) -> None:
        # One that is asked again, after the connection was lost, is not done.
        self._tell_how_far({"done": len(self.asked - {check}), "check": check.name})
        self.asked.add(check)

    def _recording(self) -> None:
        self._tell_how_far({"done": len(self.checks), "recording": True})

    def _tell_how_far(self, known: dict[str, Any]) -> None:
        _remember(self.database, {"of": len(self.checks), **known})

    def _tell(self, words: str, *, failed: bool) -> None:
        # Who reads goes by the words: they come last.
        self.failed, self.words = failed, words
        _remember(self.database, {"words": words, "failed": failed, "at": timezone.now()})


def progress(database: str) -> dict[str, Any] | None:
    """Where the scan of this database is that anybody runs now, as far as known: `done`, `of` and `check`, or
    `recording` once all are done.
    """
    if not _under_way(database):
        return None
    known = _remembered(database)
    return known if "done" in known else {}


def outcome(database: str, last: Scan | None) -> dict[str, Any] | None:
    """How the last scan from a page ended, for a while: `words`, `failed` and `at`. None once another one is recorded,
    `last` being the last that was.
    """
    known = _remembered(database)
    if "at" not in known or (last and last.recorded_at > known["at"]):
        return None
    return known


def _under_way(database: str) -> bool:
    with connections[MEMORY].cursor() as cursor:
        # The lock of a recording, whichever process and machine holds it.
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [LOCK, crc32(database.encode())],
        )
        found: bool = cursor.fetchone()[0]
    return found


def _remember(database: str, told: dict[str, Any]) -> None:
    # A courtesy: without the cache the scan goes on, and the lock still says that it does.
    with suppress(Exception):
        cache.set(_place(database), told, REMEMBERED)


def _remembered(database: str) -> dict[str, Any]:
    with suppress(Exception):
        return cache.get(_place(database)) or {}
    return {}


def _place(database: str) -> str:
    return f"consistency-scan-{crc32(database.encode())}"
