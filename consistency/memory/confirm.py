"""Two looks, some seconds apart: only what both agree on counts, so that a job just changing hands is no finding."""

from collections.abc import Mapping
from dataclasses import replace

from consistency.findings import Row
from consistency.registry import Check, CheckError
from consistency.report import Report
from consistency.sight import Sight, key


class FirstLook(Sight):
    """Remembers what it saw, by check, as hashes: a number each, and not the row."""

    def __init__(self) -> None:
        self.seen: dict[Check, set[int]] = {}
        self.errors: Mapping[Check, str] = {}

    def wants(self, check: Check) -> bool:
        return True

    def start(self, check: Check) -> None:
        self.seen[check] = set()

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        self.seen[check].update(map(_look, rows))
        return rows

    def report(self, report: Report) -> Report:
        self.errors = {outcome.check: outcome.error for outcome in report.outcomes if outcome.error}
        return report


class SecondLook(Sight):
    """Lets pass what the first look saw too; what the first could not ask, the two cannot agree on."""

    def __init__(self, first: FirstLook, then: Sight) -> None:
        self.first = first
        self.then = then
        self.files: dict[Check, set[int]] = {}

    def wants(self, check: Check) -> bool:
        return True

    def start(self, check: Check) -> None:
        if error := self.first.errors.get(check):
            raise CheckError(f"at the first look: {error}")
        self.files[check] = set()
        self.then.start(check)

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        agreed = [row for row in rows if _look(row) in self.first.seen[check]]
        self.files[check].update(hash(row["file_uuid"]) for row in agreed if row.get("file_uuid") is not None)
        return self.then.sift(check, agreed)

    def shown(self, check: Check, rows: list[Row]) -> list[Row]:
        return self.then.shown(check, rows)

    def report(self, report: Report) -> Report:
        files = None if report.affected_files is None else len(set().union(*self.files.values()))
        return self.then.report(replace(report, affected_files=files))


def _look(row: Row) -> int:
    """Object, status and detail: the detail names the job, where the check is about one."""
    return hash((key(row), row.get("status"), row["detail"]))
