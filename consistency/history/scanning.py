"""Scan with the suppressions of the history: read only, or recorded."""

import os
import pwd
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from common.text import printable
from consistency.history.changes import RecordedScan
from consistency.history.recorder import Recorder
from consistency.history.suppression import load_suppressions
from consistency.registry import Check
from consistency.scan.engine import Chunk, Engine, Progress
from consistency.scan.passes import collect, last_pass
from consistency.scan.report import Report

Consume: TypeAlias = Callable[[Engine, Iterable[Chunk]], Report]
"""Reads all chunks of a pass and returns the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A report, and the scan in the history."""

    database: str
    report: Report
    scan: RecordedScan | None = None
    """None for a scan without a recording."""
    problem: str | None = None
    """Reason why the scan is not recorded, safe for clients."""


def open_pass(checks: Sequence[Check], *, database: str = DEFAULT_DB_ALIAS, **options: Any) -> Engine:
    """Return the engine of the pass to report, with the suppressions of the history. `options` as for last_pass."""
    return last_pass(
        checks, database=database, load_suppressions=partial(load_suppressions, checks, database), **options
    )


def read_scan(checks: Sequence[Check], *, consume: Consume = collect, **options: Any) -> Report:
    """Scan without a recording."""
    engine = open_pass(checks, **options)
    return consume(engine, engine)


def record_scan(
    checks: Sequence[Check],
    *,
    trigger: str,
    database: str = DEFAULT_DB_ALIAS,
    actor: str = "",
    timeout: float = 10.0,
    confirm: float | None = None,
    limit: int | None = 100,
    accept: Collection[str] = (),
    progress: Progress | None = None,
    before_recording: Callable[[], None] = lambda: None,
    consume: Consume = collect,
    keep: bool = True,
) -> Recorded:
    """Scan and record. Raises AlreadyRunningError if another scan of the database records or recorded a later snapshot.

    `timeout` is seconds per pass, `confirm` seconds between two passes (0: one pass; None: CONSISTENCY_CONFIRM).
    `actor` is the OS user if empty. `accept` names guards to pass; the scan becomes their baseline. With `keep=False`
    the recording is rolled back: the changes are known, not stored.
    """
    pause = settings.CONSISTENCY_CONFIRM if confirm is None else confirm
    seconds = 2 * timeout + pause
    with Recorder(database, trigger=trigger, actor=actor or os_user(), seconds=seconds, keep=keep) as recorder:
        engine = open_pass(
            checks,
            database=database,
            timeout=timeout,
            confirm=pause,
            limit=limit,
            accept=accept,
            every_row=True,
            progress=progress,
            store_first=recorder.add,
        )
        recorder.problem = recorder.problem or engine.suppressions.problem
        report = consume(engine, recorder.store(engine))
        before_recording()
        scan = recorder.finish(report)
        return Recorded(database=database, report=report, scan=scan, problem=recorder.problem)


def os_user() -> str:
    """Return the user of this process, and the user behind sudo. LOGNAME and USER could be set by anybody."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # The user of a container may have no name.
        name = str(os.getuid())
    sudo_user = os.environ.get("SUDO_USER")
    return printable(f"{name} (sudo by {sudo_user})" if sudo_user and sudo_user != name else name)
