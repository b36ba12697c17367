"""Truth outside PostgreSQL, such as on disk: no snapshot holds it still, so each difference is looked at twice."""

from collections.abc import Iterator

from common.budget import Budget
from consistency.registry import Check, Finding


def confirmed(check: Check, using: str, budget: Budget) -> Iterator[Finding]:
    """What breaks the check now and still did a moment later; TimeoutError once the budget is spent."""
    first = set(_within(check.findings(using), budget))
    if first:
        yield from (finding for finding in _within(check.findings(using), budget) if finding in first)


def _within(findings: Iterator[Finding], budget: Budget) -> Iterator[Finding]:
    for finding in findings:
        if not budget.left():
            raise TimeoutError
        yield finding
