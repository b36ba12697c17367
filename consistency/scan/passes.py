"""Run the one or two passes of a scan, and collect the findings of the last pass into a report."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from time import sleep
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from consistency.registry import Check
from consistency.scan.engine import Chunk, Engine, FirstPass
from consistency.scan.findings import Row
from consistency.scan.guards import RATIO, TABLES
from consistency.scan.report import NO_SUPPRESSIONS, Report, Suppressions


def last_pass(
    checks: Sequence[Check],
    *,
    database: str = DEFAULT_DB_ALIAS,
    timeout: float = 10.0,
    confirm: float = 0.0,
    load_suppressions: Callable[[], Suppressions] = lambda: NO_SUPPRESSIONS,
    store_first: Callable[[Chunk], None] = lambda chunk: None,
    **options: Any,
) -> Engine:
    """Return the engine of the pass to report. With `confirm` (seconds), a first pass runs before that pause.

    Only findings of both passes count. `store_first` receives the findings of the first pass. `options` go to Engine.
    """
    first = _first_pass(checks, database, timeout, store_first) if confirm else None
    # Without findings in the first pass there is nothing to confirm.
    if first and first.keys:
        sleep(confirm)
    suppressions = load_suppressions()
    return Engine(checks, database=database, timeout=timeout, suppressions=suppressions, first_pass=first, **options)


def _first_pass(
    checks: Sequence[Check], database: str, timeout: float, store_first: Callable[[Chunk], None]
) -> FirstPass:
    first = FirstPass()
    # Only the last pass knows the baseline.
    engine = Engine(checks, database=database, timeout=timeout, accept=(TABLES, RATIO))
    for chunk in engine:
        first.add(chunk)
        store_first(chunk._replace(confirmed=False))
    first.errors = {outcome.check: outcome.error for outcome in engine.report.outcomes if outcome.error}
    return first


def shown_rows(chunks: Iterable[Chunk], limit: int | None) -> Iterator[tuple[Check, list[Row]]]:
    """Yield the confirmed findings, at most `limit` rows per check."""
    shown: dict[Check, int] = {}
    for check, rows, confirmed in chunks:
        room = len(rows) if limit is None else limit - shown.get(check, 0)
        if confirmed and room > 0:
            shown[check] = shown.get(check, 0) + len(rows[:room])
            yield check, rows[:room]


def collect(engine: Engine, chunks: Iterable[Chunk], *, hide_acknowledged: bool = False) -> Report:
    """Read all chunks of an engine and return the report with its first rows, optionally without acknowledged rows."""
    if hide_acknowledged:
        acknowledged_key = engine.suppressions.acknowledged_key
        chunks = (
            chunk._replace(rows=[row for row in chunk.rows if acknowledged_key(chunk.check, row) is None])
            for chunk in chunks
        )
    rows: dict[Check, list[Row]] = {}
    for check, some in shown_rows(chunks, engine.limit):
        rows.setdefault(check, []).extend(some)
    report = engine.report
    # A check that failed in the middle keeps no rows.
    outcomes = [
        outcome if outcome.error else replace(outcome, rows=rows.get(outcome.check, ())) for outcome in report.outcomes
    ]
    return replace(report, outcomes=outcomes)
