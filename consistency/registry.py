"""Define and register checks: which rows break a rule, the detail of each row, and a hint."""

import inspect
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db.models import QuerySet, TextField, Value
from django.db.models.expressions import Combinable, Expression

Query: TypeAlias = QuerySet[Any, Any]

NULL: Final = Value(None, output_field=TextField())


class Severity(IntEnum):
    """Severity of a check. Levels are ordered, so a threshold is one comparison."""

    INFO = 1
    WARN = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """Return the lower-case name for reports."""
        return self.name.lower()


class CheckError(Exception):
    """Reason why a check could not run. Clients read the text: no secret, host or path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One object that breaks an external check."""

    object_type: str
    object_id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Text expressions that turn a model's rows into findings. The file columns are null for objects without a file."""

    object_type: str
    object_id: Combinable
    file_uuid: Combinable = NULL
    file_name: Combinable = NULL
    status: Combinable = NULL


QuerySetFunction: TypeAlias = Callable[[], Query | tuple[Query, ...]]
FindingsFunction: TypeAlias = Callable[[str], Generator[Finding, None, int | None]]
RowFunction: TypeAlias = Callable[[str], Query]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """One rule about stored data. The function returns the rows that break the rule, or yields external findings."""

    name: str
    severity: Severity
    title: str
    detail: Expression | None
    """SQL expression for the detail text; None for an external check."""
    hint: str
    tags: tuple[str, ...]
    default: bool
    """Part of every default report; rows carry the contract's four keys only."""
    function: Callable[..., Any]
    row: RowFunction | None = None
    """External checks only: return the database row of an object by its `object_id`."""
    missing: str
    """External checks only: the end of the sentence `254,826 of 260,000 ...` if so many findings are implausible."""

    @property
    def external(self) -> bool:
        """Return True if the check reads outside PostgreSQL."""
        return self.detail is None

    @property
    def runbook(self) -> str | None:
        """Return the URL of the instructions for this platform; None without one."""
        runbook: str | None = settings.CONSISTENCY_RUNBOOKS.get(self.name)
        return runbook

    def queries(self) -> tuple[Query, ...]:
        """Return the rows that break the rule, one QuerySet per model."""
        rows = self.function()
        return rows if isinstance(rows, tuple) else (rows,)

    def findings(self, using: str) -> Generator[Finding, None, int | None]:
        """Yield the findings of an external check on the database `using`; return the number of examined objects.

        With None instead of a number, any share of findings is plausible.
        """
        findings: Generator[Finding, None, int | None] = self.function(using)
        return findings


CHECKS: Final[dict[str, Check]] = {}
"""Every check by name, in the order of definition; reports use the same order."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check(
    name: str,
    *,
    severity: Severity,
    hint: str,
    detail: Expression | None = None,
    tags: tuple[str, ...] = (),
    default: bool = False,
    row: RowFunction | None = None,
    missing: str = "objects are missing",
) -> Callable[[QuerySetFunction | FindingsFunction], Check]:
    """Register a function as a check. Raises TypeError at import for an incomplete definition."""

    def register(function: QuerySetFunction | FindingsFunction) -> Check:
        definition = Check(
            name=name,
            severity=severity,
            title=(inspect.getdoc(function) or "").partition("\n")[0],
            detail=detail,
            hint=hint,
            tags=tags,
            default=default,
            function=function,
            row=row,
            missing=missing,
        )
        _validate(definition)
        CHECKS[name] = definition
        return definition

    return register


def _validate(new: Check) -> None:
    yields_findings = inspect.isgeneratorfunction(new.function)
    problems = {
        "is already defined": new.name in CHECKS,
        "needs a name of lower-case letters, digits and _": not _NAME.fullmatch(new.name),
        "needs a docstring, whose first line is its title": not new.title,
        "needs a hint that says what to do": not new.hint.strip(),
        "needs detail if it returns rows, and none if it yields findings": yields_findings is (new.detail is not None),
        "needs no row where it returns rows itself": new.row is not None and not new.external,
    }
    for problem, exists in problems.items():
        if exists:
            raise TypeError(f"check {new.name!r} {problem}")
