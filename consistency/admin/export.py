"""Export anomalies as CSV and JSON: streamed in chunks. The last line says whether the export is complete."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from consistency.history.paginator import rows_after
from consistency.history.queries import active_mutes
from consistency.history.recorder import recording_problem
from consistency.history.serializers import AnomalySerializer
from consistency.models.history import Anomaly
from consistency.scan.formats import csv_records, safe_cell

logger = logging.getLogger(__name__)

CHUNK_SIZE: Final = 1000
OTHER_FIELDS: Final = ("retired", "acknowledged", "muted_until", "muted_by", "muted_reason", "comments")
COLUMNS: Final = tuple(name for name in AnomalySerializer.Meta.fields if name not in OTHER_FIELDS)
ACKNOWLEDGEMENT_COLUMNS: Final = ("by", "at", "until", "reason", "category")


def export(anomalies: QuerySet[Anomaly], name: str) -> StreamingHttpResponse:
    """Return anomalies of `with_comments` as a download in one of FORMATS, in the order of the queryset."""
    write, content_type = FORMATS[name]
    response = StreamingHttpResponse(write(_Rows(anomalies)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="anomalies.{name}"'
    return response


class _Rows:
    """Iterate over chunks of serialized rows, a short query each; then read `count` and `problem`."""

    def __init__(self, anomalies: QuerySet[Anomaly]) -> None:
        self.count = 0
        self.problem: str | None = None
        """Reason why rows are missing."""
        self._anomalies = anomalies

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        try:
            mutes = active_mutes()
            rows = list(self._anomalies[:CHUNK_SIZE])
            while rows:
                yield list(AnomalySerializer(rows, many=True, context={"mutes": mutes}).data)
                self.count += len(rows)
                rows = rows_after(rows[-1], self._anomalies, CHUNK_SIZE)
        except DatabaseError as error:
            # The response has begun with status 200: only its last line can report the error.
            logger.exception("An export ended early, after %s rows", self.count)
            self.problem = recording_problem(error)


def _csv(rows: _Rows) -> Iterator[str]:
    yield csv_records([[*COLUMNS, *(f"acknowledged_{name}" for name in ACKNOWLEDGEMENT_COLUMNS), "comments"]])
    for chunk in rows:
        yield csv_records(_cells(row) for row in chunk)
    ending = f", error: {rows.problem}" if rows.problem else ""
    yield f"# complete: {str(not rows.problem).lower()}, rows: {rows.count}{ending}\r\n"


def _cells(row: dict[str, Any]) -> list[str]:
    acknowledgement = row["acknowledged"] or {}
    row |= {"needs_review": str(row["needs_review"]).lower()}
    comments = "\n".join("{at} {by}: {text}".format(**comment) for comment in row["comments"])
    values = [row[name] for name in COLUMNS] + [acknowledgement.get(name) for name in ACKNOWLEDGEMENT_COLUMNS]
    values.append(comments)
    return [safe_cell("" if value is None else str(value)) for value in values]


def _json(rows: _Rows) -> Iterator[str]:
    yield '{"anomalies": ['
    separator = "\n"
    for chunk in rows:
        yield separator + ",\n".join(json.dumps(row) for row in chunk)
        separator = ",\n"
    error = {"error": rows.problem} if rows.problem else {}
    ending = json.dumps({"rows": rows.count} | error | {"complete": not rows.problem})
    yield f"\n], {ending.removeprefix('{')}\n"


FORMATS: Final[dict[str, tuple[Callable[[_Rows], Iterator[str]], str]]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "json": (_json, "application/json"),
}
