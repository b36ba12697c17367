"""Read an external check twice, because a disk has no snapshot: a file may follow the row within moments."""

from collections.abc import Iterator
from contextlib import closing
from time import sleep

from django.conf import settings

from common.budget import Budget
from consistency.registry import Check, Finding
from consistency.scan.findings import Row
from consistency.scan.guards import Guard


def confirmed_rows(check: Check, database: str, share: Budget, guard: Guard) -> Iterator[Row]:
    """Yield a report row for each finding that both readings of an external check return.

    CONSISTENCY_EXTERNAL_PAUSE is the time between the readings. Raises CheckError if too many objects are missing, and
    TimeoutError after the budget.
    """
    first, total = _read(check, database, share)
    guard.compare_missing(check, len(first), total)
    if first:
        sleep(min(settings.CONSISTENCY_EXTERNAL_PAUSE, share.remaining() / 2))
        seen, (second, _) = set(first), _read(check, database, share)
        yield from (_row(finding) for finding in second if finding in seen)


def _read(check: Check, database: str, share: Budget) -> tuple[list[Finding], int | None]:
    """Return the findings and the number of examined objects.

    The generator of the check is closed in the read-only transaction, so a `finally` of the generator cannot write.
    """
    findings: list[Finding] = []
    with closing(check.findings(database)) as generator:
        while share.remaining():
            try:
                findings.append(next(generator))
            except StopIteration as stop:
                return findings, stop.value
    raise TimeoutError


def _row(finding: Finding) -> Row:
    values = {"object_type": finding.object_type, "object_id": finding.object_id, "detail": finding.detail}
    # A file name may hold bytes that are no text, or NUL. PostgreSQL stores neither.
    return {
        key: value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0") for key, value in values.items()
    }
