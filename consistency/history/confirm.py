"""Two looks, some seconds apart: only what both agree on counts, so that a job just changing hands is no finding;
and only what neither saw is resolved.
"""

from collections.abc import Mapping
from dataclasses import replace

from consistency.registry import Check, CheckError
from consistency.scan.findings import Row
from consistency.scan.report import Outcome, Report
from consistency.scan.sight import Sight, key


class FirstLook(Sight):
    """Remembers what it saw, by check, as hashes: a number each, and not the row."""

    def __init__(self, unsure: Sight) -> None:
        self.unsure = unsure
        """Sees all that either look saw, but for what both agree on only once."""
        self.seen: dict[Check, set[int]] = {}
        self.errors: Mapping[Check, str] = {}

    def wants(self, check: Check) -> bool:
        return True

    def start(self, check: Check) -> None:
        self.seen[check] = set()
        self.unsure.start(check)

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        self.seen[check].update(map(_look, rows))
        return self.unsure.sift(check, rows)

    def report(self, report: Report) -> Report:
        self.errors = {outcome.check: outcome.error for outcome in report.outcomes if outcome.error}
        return report


class SecondLook(Sight):
    """Lets pass what the first look saw too; what the first could not ask, the two cannot agree on."""

    def __init__(self, first: FirstLook, then: Sight) -> None:
        self.first = first
        self.then = then
        self.files: dict[Check, set[int]] = {}
        self.agreed: dict[Check, set[int]] = {}
        self.doubted: set[Check] = set()

    @property
    def problem(self) -> str | None:
        return self.first.unsure.problem or self.then.problem

    def wants(self, check: Check) -> bool:
        return True

    def start(self, check: Check) -> None:
        if error := self.first.errors.get(check):
            raise CheckError(f"at the first look: {error}")
        self.files[check], self.agreed[check] = set(), set()
        self.doubted.discard(check)
        self.then.start(check)

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        agreed = [row for row in rows if _look(row) in self.first.seen[check]]
        self.agreed[check].update(map(_look, agreed))
        self.files[check].update(hash(row["file_uuid"]) for row in agreed if row.get("file_uuid") is not None)
        if len(agreed) < len(rows):
            self.doubted.add(check)
            self.first.unsure.sift(check, [row for row in rows if _look(row) not in self.first.seen[check]])
        return self.then.sift(check, agreed)

    def silent(self, check: Check, row: Row) -> bool:
        return self.then.silent(check, row)

    def shown(self, check: Check, rows: list[Row]) -> list[Row]:
        return self.then.shown(check, rows)

    def report(self, report: Report) -> Report:
        files = None if report.affected_files is None else len(set().union(*self.files.values()))
        outcomes = [replace(outcome, doubted=self._doubts(outcome)) for outcome in report.outcomes]
        return self.then.report(self.first.unsure.report(replace(report, affected_files=files, outcomes=outcomes)))

    def _doubts(self, outcome: Outcome) -> bool:
        check = outcome.check
        return outcome.error is None and (check in self.doubted or self.first.seen[check] != self.agreed[check])


def _look(row: Row) -> int:
    """Object, job and status. Of a file the detail names the job, where the check is about one; of other objects it
    may count what comes and goes beside them, while they stay as broken as they were.
    """
    kind, name = key(row)
    return hash((kind, name, row.get("status"), row["detail"] if kind == "file" else None))
