"""Refuse results that a wrong table or an unmounted disk explains better than the data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from common.budget import Budget
from consistency.models.media import File, MonitorJob
from consistency.registry import Check, CheckError
from consistency.scan.reasons import reason
from consistency.scan.snapshot import is_lost, limit_statement

TABLES: Final = "tables"
RATIO: Final = "ratio"
FILES: Final = File._meta.db_table
GUARDED: Final = (FILES, MonitorJob._meta.db_table, "identities")
MIN_OBJECTS: Final = 100
"""Below so many objects, any number of missing objects is plausible."""
NAMES: Final = """
SELECT t.name, format('%%I.%%I', n.nspname, c.relname) FROM unnest(%s::text[]) AS t(name)
JOIN pg_class c ON c.oid = to_regclass(t.name) JOIN pg_namespace n ON n.oid = c.relnamespace"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """State of the data that the last recorded scan of a database accepted."""

    tables: Mapping[str, str] = field(default_factory=dict)
    """Schema and table by the name that checks use."""
    files_empty: bool | None = True
    """None if unknown, because the history could not be read."""
    missing: Mapping[str, float] = field(default_factory=dict)
    """Accepted share of missing objects (0.0 to 1.0) by external check."""


NO_BASELINE: Final = Baseline()


class Guard:
    """Compare a scan with the baseline. `baseline` becomes the baseline of the next scan.

    `accept` holds TABLES, RATIO or both: the scan then replaces that part of the baseline instead of comparing.
    """

    def __init__(self, baseline: Baseline, accept: Collection[str] = ()) -> None:
        self.baseline = baseline
        self.refused: dict[str, str] = {}
        """Reasons by table: a check that reads the table could not run."""
        self._accept = accept

    def compare_tables(self, connection: BaseDatabaseWrapper, budget: Budget) -> None:
        """Look up the tables in the transaction of the scan, and refuse a different, emptied or unreadable table."""
        with connection.cursor() as cursor:
            cursor.execute(NAMES, [list(GUARDED)])
            names: dict[str, str] = dict(cursor.fetchall())
        before = self.baseline
        self.refused = {
            table: f"{table} is now {name}; the last scan read {before.tables[table]} (--accept-tables)"
            for table, name in names.items()
            if TABLES not in self._accept and before.tables.get(table, name) != name
        }
        accepted = {table: name for table, name in names.items() if table not in self.refused}
        self.baseline = replace(before, tables={**before.tables, **accepted})
        if FILES in accepted:
            self._compare_rows(connection, budget)

    def _compare_rows(self, connection: BaseDatabaseWrapper, budget: Budget) -> None:
        """Refuse `files` without rows. After an error the table may be empty, so the error refuses the table, too.

        The query also locks the table, so that no TRUNCATE follows in the transaction.
        """
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                limit_statement(connection, budget)
                cursor.execute(f'SELECT NOT EXISTS (SELECT FROM "{FILES}")')  # noqa: S608 - constant
                is_empty = bool(cursor.fetchone()[0])
        except DatabaseError as error:
            self.refused[FILES] = reason(error, budget, lost=is_lost(connection))
            return
        if is_empty and not self.baseline.files_empty and TABLES not in self._accept:
            unknown = self.baseline.files_empty is None
            why = ", and the history cannot be read" if unknown else "; the last scan read rows of it (--accept-tables)"
            self.refused[FILES] = f"{FILES} is empty{why}"
        else:
            self.baseline = replace(self.baseline, files_empty=is_empty)

    def compare_missing(self, check: Check, count: int, total: int | None) -> None:
        """Raise CheckError if too large a share of `total` objects is missing.

        After an acceptance, the limit holds for the objects that were not missing then.
        """
        limit, missing = settings.CONSISTENCY_MAX_MISSING / 100, dict(self.baseline.missing)
        share = count / total if total and total >= MIN_OBJECTS else 0.0
        if share <= limit:
            missing.pop(check.name, None)
        elif RATIO in self._accept:
            missing[check.name] = share
        elif 1 - share < (1 - limit) * (1 - missing.get(check.name, 0.0)):
            raise CheckError(f"{count:,} of {total:,} {check.missing} (--accept-ratio)")
        self.baseline = replace(self.baseline, missing=missing)
