"""Anomalies as CSV and JSON: streamed in pieces, each a short question of its own; the end says whether it is all."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from consistency.history.formats import anomaly_dict
from consistency.history.lists import in_force
from consistency.history.order import pieces
from consistency.history.writing import recording_problem
from consistency.models.history import Anomaly
from consistency.scan.formats import csv_records, safe_cell

logger = logging.getLogger(__name__)

COLUMNS: Final = (
    "id",
    "database",
    "check",
    "severity",
    "object_type",
    "object_id",
    "file_uuid",
    "file_name",
    "status",
    "detail",
    "state",
    "first_seen",
    "appeared_at",
    "last_seen",
    "times_seen",
    "resolved_at",
    "returned_count",
    "assignee",
    "note",
)
SILENCE: Final = ("by", "at", "until", "reason")


def exported(found: QuerySet[Anomaly], how: str) -> StreamingHttpResponse:
    """All of them, in the order of the list, as a download."""
    pieces, kind = WAYS[how]
    answer = StreamingHttpResponse(pieces(found), content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="anomalies.{how}"'
    return answer


class _Pieces:
    """Some rows at a time; then `rows` says how many they were, and `problem` why they are not all."""

    def __init__(self, found: QuerySet[Anomaly]) -> None:
        self.found = found
        self.rows = 0
        self.problem: str | None = None

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        try:
            yield from self._all()
        except DatabaseError as error:
            # Under way already, as a 200: only its last line can tell.
            logger.exception("An export ended early, after %s rows", self.rows)
            self.problem = recording_problem(error)

    def _all(self) -> Iterator[list[dict[str, Any]]]:
        mutes = in_force()
        for piece in pieces(self.found):
            yield [anomaly_dict(anomaly, mutes) for anomaly in piece]
            self.rows += len(piece)


def _csv(found: QuerySet[Anomaly]) -> Iterator[str]:
    pieces = _Pieces(found)
    yield csv_records([[*COLUMNS, *(f"acknowledged_{name}" for name in SILENCE)]])
    for piece in pieces:
        yield csv_records(_cells(row) for row in piece)
    ending = f", error: {pieces.problem}" if pieces.problem else ""
    yield f"# complete: {str(not pieces.problem).lower()}, rows: {pieces.rows}{ending}\r\n"


def _cells(row: dict[str, Any]) -> list[str]:
    silence = row["acknowledged"] or {}
    values = [row[name] for name in COLUMNS] + [silence.get(name) for name in SILENCE]
    return [safe_cell("" if value is None else str(value)) for value in values]


def _json(found: QuerySet[Anomaly]) -> Iterator[str]:
    pieces = _Pieces(found)
    yield '{"anomalies": ['
    separator = "\n"
    for piece in pieces:
        yield separator + ",\n".join(json.dumps(row) for row in piece)
        separator = ",\n"
    ending = {"error": pieces.problem} if pieces.problem else {}
    told = json.dumps({"rows": pieces.rows} | ending | {"complete": not pieces.problem})
    yield f"\n], {told.removeprefix('{')}\n"


WAYS: Final[dict[str, tuple[Callable[[QuerySet[Anomaly]], Iterator[str]], str]]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "json": (_json, "application/json"),
}
