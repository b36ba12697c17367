"""A check is one rule about stored data: which rows break it, what to say about each, what to do."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

from django.db.models import QuerySet, TextField, Value
from django.db.models.expressions import Combinable, Expression

Query: TypeAlias = QuerySet[Any, Any]


NOTHING: Final = Value(None, output_field=TextField())


class Severity(IntEnum):
    """How bad a finding is; ordered, so that a threshold is one comparison."""

    INFO = 1
    WARN = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """The word that reports use."""
        return self.name.lower()


class CheckError(Exception):
    """Why a check could not run. The only exception whose text leaves the process: no secret, host or path in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that breaks a check whose truth lies outside PostgreSQL."""

    object_type: str
    object_id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the rows of one model become findings: expressions that yield text; those of the file null without one."""

    object_type: str
    object_id: Combinable
    file_uuid: Combinable = NOTHING
    file_name: Combinable = NOTHING
    status: Combinable = NOTHING


Rows: TypeAlias = Callable[[], Query | tuple[Query, ...]]
Findings: TypeAlias = Callable[[str], Iterator[Finding]]
RowOf: TypeAlias = Callable[[str], Query]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """One rule. Its function returns the rows that break it (empty: consistent), or yields findings from outside."""

    name: str
    severity: Severity
    title: str
    detail: Expression | None
    """An expression over the rows' model: the database writes the sentence. None where the function yields findings."""
    hint: str
    tags: tuple[str, ...]
    default: bool
    """In every report unless a request chooses; its rows carry the four keys of a file and nothing else."""
    function: Callable[..., Any]
    row: RowOf | None = None
    """For truth outside PostgreSQL: the query of the row that an object may have there, by its object_id."""

    @property
    def outside(self) -> bool:
        """Whether the truth lies outside PostgreSQL: the function is a generator that takes the database alias."""
        return self.detail is None

    def queries(self) -> tuple[Query, ...]:
        """The rows that break the rule, one QuerySet per model."""
        rows = self.function()
        return rows if isinstance(rows, tuple) else (rows,)

    def findings(self, using: str) -> Iterator[Finding]:
        """What breaks the rule now, from outside PostgreSQL."""
        findings: Iterator[Finding] = self.function(using)
        return findings


CHECKS: Final[dict[str, Check]] = {}
"""Every check by name, in the order of definition, which is the order of reports."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check(
    name: str,
    *,
    severity: Severity,
    hint: str,
    detail: Expression | None = None,
    tags: tuple[str, ...] = (),
    default: bool = False,
    row: RowOf | None = None,
) -> Callable[[Rows | Findings], Check]:
    """Make a function a check and register it; a definition that lacks something fails at import (TypeError)."""

    def register(function: Rows | Findings) -> Check:
        title = (inspect.getdoc(function) or "").partition("\n")[0]
        _validate(name, title, hint, detail, row, function)
        CHECKS[name] = Check(
            name=name,
            severity=severity,
            title=title,
            detail=detail,
            hint=hint,
            tags=tags,
            default=default,
            function=function,
            row=row,
        )
        return CHECKS[name]

    return register


def _validate(
    name: str, title: str, hint: str, detail: Expression | None, row: RowOf | None, function: Rows | Findings
) -> None:
    problems = {
        "is already defined": name in CHECKS,
        "needs a name of lower-case letters, digits and _": not _NAME.fullmatch(name),
        "needs a docstring, whose first line is its title": not title,
        "needs a hint that says what to do": not hint.strip(),
        "needs detail if it returns rows, and none if it yields findings": inspect.isgeneratorfunction(function)
        is (detail is not None),
        "needs no row where it returns rows itself": row is not None and detail is not None,
    }
    for problem, exists in problems.items():
        if exists:
            raise TypeError(f"check {name!r} {problem}")
