"""Which values a column has, by hopping from one to the next through an index: DISTINCT would read every row."""

from typing import Any, Final

from django.db import connections

from consistency.history.silence import MEMORY
from consistency.models.history import Scan, ScanCheck


def hopping(table: str, *columns: str) -> str:
    """The SQL for every combination of these columns, which an index of the table must start with."""
    names, last = ", ".join(columns), ", ".join(f"hops.{name}" for name in columns)
    return f"""
WITH RECURSIVE hops AS (
    (SELECT {names} FROM {table} ORDER BY {names} LIMIT 1)
    UNION ALL
    SELECT further.* FROM hops, LATERAL (
        SELECT {names} FROM {table} WHERE ({names}) > ({last}) ORDER BY {names} LIMIT 1) AS further)
SELECT {names} FROM hops"""  # noqa: S608 - names of ours


RECORDED_CHECKS: Final = hopping(ScanCheck._meta.db_table, "check_name")
_SCANNED: Final = hopping(Scan._meta.db_table, "database")
_LAST: Final = f"""
SELECT last.id FROM ({RECORDED_CHECKS}) AS named, LATERAL (
    SELECT c.id FROM {ScanCheck._meta.db_table} c
    WHERE c.check_name = named.check_name AND c.database = %s ORDER BY c.scan_id DESC LIMIT 1) AS last"""  # noqa: S608
LAST_ANSWERS: Final = f"""
SELECT last.id FROM ({hopping(ScanCheck._meta.db_table, "check_name", "database")}) AS named, LATERAL (
    SELECT c.id FROM {ScanCheck._meta.db_table} c
    WHERE c.check_name = named.check_name AND c.database = named.database AND c.count IS NOT NULL
    ORDER BY c.scan_id DESC LIMIT 1) AS last"""  # noqa: S608
"""Keys of what each check, on each database, last came to when it could be asked."""


def scanned() -> list[str]:
    """Every database of which a scan is remembered."""
    return [name for (name,) in _rows(_SCANNED)]


def last_of_each(database: str) -> list[int]:
    """Keys of what each check last came to on this database."""
    return [number for (number,) in _rows(_LAST, database)]


def _rows(statement: str, *values: str) -> list[tuple[Any, ...]]:
    with connections[MEMORY].cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
