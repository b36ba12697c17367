"""Turn the rows of a check into findings, the rows of a report."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from consistency.registry import NULL, Check, Columns, Query

Row: TypeAlias = dict[str, str | None]

FILE_KEYS = ("file_name", "file_uuid", "status")
NO_KEY: Final = "null"
"""Object id of rows without a key. The history needs an id."""


def finding_columns(query: Query) -> Columns:
    """Return the column expressions that the model of a query defines for findings."""
    columns: Columns = query.model.finding_columns()
    return columns


def finding_values(query: Query, check: Check) -> Query:
    """Return the query ordered by primary key, as tuples of the values of a finding."""
    columns = finding_columns(query)
    values = (columns.object_id, columns.file_name, columns.file_uuid, columns.status, check.detail or NULL)
    return query.order_by("pk").values_list(*values)


def rows(query: Query, check: Check, values: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
    """Yield report rows for the tuples of `finding_values`."""
    object_type = finding_columns(query).object_type
    for object_id, *file_values, detail in values:
        file = dict(zip(FILE_KEYS, file_values, strict=True))
        yield _row(check, object_type, NO_KEY if object_id is None else object_id, file, detail or "")


def _row(check: Check, object_type: str, object_id: str, file: Row, detail: str) -> Row:
    """Return the four contract keys for a default check; rows of the rest also name their object."""
    if check.default:
        return {**file, "detail": detail}
    file_keys = file if file["file_uuid"] is not None else {}
    return {"object_type": object_type, "object_id": object_id, **file_keys, "detail": detail}


def object_key(row: Row) -> tuple[str, str]:
    """Return object type and id of a row. Rows of default checks are files."""
    if "object_type" in row:
        return str(row["object_type"]), str(row["object_id"])
    return "file", NO_KEY if row["file_uuid"] is None else row["file_uuid"]


def affected_files(queries: Sequence[Query]) -> Query | None:
    """Return the distinct file uuids behind the rows of the queries; None without queries."""
    files = [
        query.order_by()
        .annotate(affected=finding_columns(query).file_uuid)
        .filter(affected__isnull=False)
        .values_list("affected")
        for query in queries
    ]
    if not files:
        return None
    distinct: Query = files[0].distinct() if len(files) == 1 else files[0].union(*files[1:])
    return distinct


def pass_key(row: Row) -> int:
    """Identify a finding over two passes: object and status, and for files the detail, since it names the job."""
    object_type, object_id = object_key(row)
    return hash((object_type, object_id, row.get("status"), row["detail"] if object_type == "file" else None))
