"""What a report says about each finding, in the same shape wherever the truth of a check lies."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from consistency.registry import NOTHING, Check, Columns, Finding, Query

Row: TypeAlias = dict[str, str | None]

FILE_KEYS = ("file_name", "file_uuid", "status")


def columns(query: Query) -> Columns:
    """How rows of this model become findings: every model that a check looks at says it once."""
    found: Columns = query.model.finding_columns()
    return found


def cells(query: Query, check: Check) -> Query:
    """The query, ordered by primary key, yielding of each row what a finding needs and no model instance."""
    told = columns(query)
    detail = check.detail or NOTHING
    return query.order_by("pk").values_list(told.object_id, told.file_name, told.file_uuid, told.status, detail)


def rows(query: Query, check: Check, found: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
    """The report's rows for what `cells` yielded."""
    object_type = columns(query).object_type
    for object_id, *file, detail in found:
        # What a definition makes of NULL is NULL; a finding says something, were it nothing.
        yield row(check, object_type, object_id, dict(zip(FILE_KEYS, file, strict=True)), detail or "")


def row(check: Check, object_type: str, object_id: str, file: Row, detail: str) -> Row:
    """One row: a default check's has the file's keys and `detail`; others name their object as well."""
    if check.default:
        return {**file, "detail": detail}
    existing = file if file["file_uuid"] is not None else {}
    return {"object_type": object_type, "object_id": object_id, **existing, "detail": detail}


def outside_row(finding: Finding) -> Row:
    """One row for what was found outside PostgreSQL."""
    found = {"object_type": finding.object_type, "object_id": finding.object_id, "detail": finding.detail}
    # A name on disk may be no text at all; PostgreSQL has only text, and no NUL in it.
    return {
        key: value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0") for key, value in found.items()
    }


def affected(queries: Sequence[Query]) -> Query | None:
    """The distinct files that these queries' rows belong to, one row each; None if there are no queries."""
    files = [
        query.order_by()
        .annotate(affected=columns(query).file_uuid)
        .filter(affected__isnull=False)
        .values_list("affected")
        for query in queries
    ]
    return files[0].union(*files[1:]) if files[1:] else files[0].distinct() if files else None
