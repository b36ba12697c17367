"""What a report says, in a form to compare."""

from consistency.registry import CHECKS, Check
from consistency.scan.report import Outcome, Report

HEALTHY = {"stale_processing": 1, "unregistered_with_uuid": 1}
"""What the checks around a broken one find in `one_of_each`."""


def outcomes(report: Report) -> dict[str, Outcome]:
    return {outcome.check.name: outcome for outcome in report.outcomes}


def counts_and_errors(report: Report) -> dict[str, int | str | None]:
    return {name: outcome.error or outcome.count for name, outcome in outcomes(report).items()}


def among_others(broken: Check) -> list[Check]:
    """A check with healthy ones before and after it."""
    return [CHECKS["stale_processing"], broken, CHECKS["unregistered_with_uuid"]]
