"""What the stored data says now about the object of one anomaly, and how to ask it oneself. Reads, within seconds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connections, transaction

from consistency.budget import Budget
from consistency.expressions import text
from consistency.findings import cells, columns, rows
from consistency.memory.silence import MEMORY
from consistency.models import File, MonitorJob
from consistency.models.memory import STARTS, Anomaly, starting
from consistency.reasons import reason
from consistency.registry import CHECKS, Query
from consistency.sql import compiled, literal
from consistency.transaction import begin, bounded, limit_statement

SECONDS: Final = 2.0
JOBS: Final = 50
"""Of one file, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of the file."""

    id: str
    status: str
    created_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The object as it is now."""

    holds: bool | None = None
    """Whether it still breaks the rule; None if that cannot be asked row by row, or could not be."""
    detail: str | None = None
    file_uuid: str | None = None
    file_name: str | None = None
    status: str | None = None
    job: str | None = None
    there: bool = False
    """Whether the file has a row."""
    jobs: Sequence[Job] = ()
    problem: str | None = None
    """Why it could not be asked, in words fit for outside."""


def subject(anomaly: Anomaly) -> Subject:
    """Ask the database of the anomaly; never raises for what it does."""
    if anomaly.database not in connections:
        return Subject(problem=f"database {anomaly.database!r} is no longer configured")
    budget = Budget(SECONDS)
    try:
        with _snapshot(anomaly.database, budget):
            return Subject(**_told(anomaly))
    except Exception as error:
        return Subject(problem=reason(error, budget, lost=False))


def statements(anomaly: Anomaly) -> list[str]:
    """The SQL that shows this very row while it breaks the rule, to run in psql; none for truth outside PostgreSQL."""
    if anomaly.database not in connections:
        return []
    connection = connections[anomaly.database]
    asked = [compiled(cells(query, CHECKS[anomaly.check_name]), connection) for query in _queries(anomaly)]
    return [f"{literal(statement)};" for statement in asked if statement]


def of_same_file(anomaly: Anomaly, most: int = 20) -> Sequence[Anomaly]:
    """Other anomalies of its file, open ones first."""
    if anomaly.file_uuid is None:
        return []
    same = Anomaly.objects.using(MEMORY).filter(file_uuid=anomaly.file_uuid, database=anomaly.database)
    same = same.alias(start=starting("file_uuid")).filter(start=anomaly.file_uuid[:STARTS])
    # Ordered here: there are few, and an order that an index has would be walked instead of the file's own.
    found = sorted(
        same.exclude(pk=anomaly.pk).order_by()[:100], key=lambda other: (other.resolved_at is not None, -other.pk)
    )
    return found[:most]


@contextmanager
def _snapshot(database: str, budget: Budget) -> Iterator[None]:
    connection = connections[database]
    with bounded(connection, budget.seconds + 0.5), transaction.atomic(using=database):
        begin(connection, budget.seconds)
        limit_statement(connection, budget)
        yield


def _queries(anomaly: Anomaly) -> list[Query]:
    """The check's queries, for this object alone; none if it is retired or its truth lies outside."""
    check = CHECKS.get(anomaly.check_name)
    if check is None or check.outside:
        return []
    return [
        query.alias(review_key=columns(query).object_id).filter(review_key=anomaly.object_id)
        for query in check.queries()
        if columns(query).object_type == anomaly.object_type
    ]


def _told(anomaly: Anomaly) -> dict[str, Any]:
    file_uuid = anomaly.file_uuid or _file_of_job(anomaly)
    told: dict[str, Any] = _verdict(anomaly) | {"file_uuid": file_uuid}
    if file_uuid is not None:
        told |= _file(anomaly.database, file_uuid) | {"jobs": _jobs(anomaly.database, file_uuid)}
    return told


def _verdict(anomaly: Anomaly) -> dict[str, Any]:
    if not (queries := _queries(anomaly)):
        return {"holds": None}
    check = CHECKS[anomaly.check_name]
    for query in queries:
        here = query.using(anomaly.database)
        for row in rows(here, check, cells(here, check)[:1]):
            return {"holds": True, "detail": row["detail"]}
    return {"holds": False}


def _file(database: str, file_uuid: str) -> dict[str, Any]:
    here = File.objects.using(database).alias(key=text("file_uuid")).filter(key=file_uuid)
    names = ("file_name", "status", "job")
    found = here.order_by().values_list(text("file_name"), text("status"), text("job_id")).first()
    return dict(zip(names, found, strict=True)) | {"there": True} if found else {}


def _file_of_job(anomaly: Anomaly) -> str | None:
    if anomaly.object_type != "job":
        return None
    here = MonitorJob.objects.using(anomaly.database).alias(key=text("id")).filter(key=anomaly.object_id)
    found: str | None = here.order_by().values_list(text("file_uuid"), flat=True).first()
    return found


def _jobs(database: str, file_uuid: str) -> list[Job]:
    here = MonitorJob.objects.using(database).alias(key=text("file_uuid")).filter(key=file_uuid)
    told = here.order_by("-created_at").values_list(text("id"), text("status"), "created_at", "finished_at")[:JOBS]
    names = ("id", "status", "created_at", "finished_at")
    return [Job(**dict(zip(names, job, strict=True))) for job in reversed(told)]
