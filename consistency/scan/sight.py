"""What a scan does with findings beyond counting them: who wants to sees every one of a check, and may drop some."""

from typing import Final

from consistency.registry import Check
from consistency.scan.findings import Row
from consistency.scan.report import Report

PIECE: Final = 2000
"""Rows at a time: more are no faster, and a piece is all that is ever held."""


class Sight:
    """Sees nothing and changes nothing; others do more."""

    @property
    def problem(self) -> str | None:
        """Why what it saw cannot be recorded, in words fit for outside; the report stands."""
        return None

    def wants(self, check: Check) -> bool:
        """Whether it must see every finding of this check, and not only those that are reported."""
        return False

    def start(self, check: Check) -> None:
        """The check begins, perhaps again after its snapshot was lost: what was seen of it is void."""

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        """See a piece of the findings; returns those that count."""
        return rows

    def silent(self, check: Check, row: Row) -> bool:
        """Whether this finding decides nothing, whatever becomes of its whole check."""
        return False

    def shown(self, check: Check, rows: list[Row]) -> list[Row]:
        """Those of a sifted piece that are fit for the report's few rows."""
        return rows

    def report(self, report: Report) -> Report:
        """The report with what was learned."""
        return report


def key(row: Row) -> tuple[str, str]:
    """Object type and id of a row: a default check's rows are files and do not say so."""
    if "object_type" in row:
        return str(row["object_type"]), str(row["object_id"])
    return "file", str(row["file_uuid"])
