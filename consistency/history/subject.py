"""What the stored data says now about the object of one anomaly, and how to ask it oneself. Reads, within seconds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import Count, F, QuerySet, Subquery, Window
from django.utils import timezone

from common.budget import Budget
from consistency.expressions import text
from consistency.history.silence import MEMORY
from consistency.models import File, MonitorJob
from consistency.models.history import STARTS, Anomaly, starting
from consistency.registry import CHECKS, Query
from consistency.scan.findings import cells, columns, rows
from consistency.scan.reasons import reason
from consistency.scan.sql import compiled, literal
from consistency.scan.transaction import begin, bounded, limit_statement

SECONDS: Final = 2.0
JOBS: Final = 50
"""Of one file, the newest."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job of the file, or one that has to do with it."""

    id: str
    status: str | None
    created_at: datetime | None
    """None where an attached table does not say."""
    finished_at: datetime | None
    file_uuid: str | None
    """Which file it names."""
    of_file: bool = True
    """Whether that is the file that it is shown with."""
    named: bool = False
    """Whether the file's job_id names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The object as it is now."""

    holds: bool | None = None
    """Whether it still breaks the rule; None if that cannot be asked row by row, or could not be."""
    detail: str | None = None
    row: bool | None = None
    """Of truth outside PostgreSQL: whether the object has its row; None if there is none to ask for."""
    file_uuid: str | None = None
    file_name: str | None = None
    status: str | None = None
    job: str | None = None
    there: bool = False
    """Whether the file has a row."""
    jobs: Sequence[Job] = ()
    """The newest that name the file, the job that its job_id names, and the anomaly's own; the oldest first, and last
    those of which no time is known.
    """
    newest: int = 0
    """How many of these are there for being the newest."""
    in_all: int = 0
    """How many jobs name the file."""
    problem: str | None = None
    """Why it could not be asked, in words fit for outside."""

    @property
    def named(self) -> bool:
        """Whether the job is there that the file's job_id names."""
        return any(job.named for job in self.jobs)


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
    """The SQL that shows this very row while it breaks the rule, to run in psql; of truth outside PostgreSQL the
    object's row, if it may have one.
    """
    if anomaly.database not in connections:
        return []
    connection = connections[anomaly.database]
    asked = [compiled(cells(query, CHECKS[anomaly.check_name]), connection) for query in _queries(anomaly)]
    if (row := _row(anomaly)) is not None:
        asked.append(compiled(row, connection))
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


def _row(anomaly: Anomaly) -> Query | None:
    """The query of its row, of truth outside PostgreSQL."""
    check = CHECKS.get(anomaly.check_name)
    return check.row(anomaly.object_id) if check and check.row else None


def _told(anomaly: Anomaly) -> dict[str, Any]:
    file_uuid = anomaly.file_uuid or _file_of_job(anomaly)
    told: dict[str, Any] = _verdict(anomaly) | {"file_uuid": file_uuid}
    if file_uuid is not None:
        told |= _file(anomaly.database, file_uuid) | _jobs(anomaly, file_uuid)
    return told


def _verdict(anomaly: Anomaly) -> dict[str, Any]:
    if not (queries := _queries(anomaly)):
        own = _row(anomaly)
        return {} if own is None else {"row": own.using(anomaly.database).exists()}
    check = CHECKS[anomaly.check_name]
    for query in queries:
        here = query.using(anomaly.database)
        for row in rows(here, check, cells(here, check)[:1]):
            return {"holds": True, "detail": row["detail"]}
    return {"holds": False}


def _file(database: str, file_uuid: str) -> dict[str, Any]:
    names = ("file_name", "status", "job")
    here = _files(database, file_uuid)
    found = here.order_by().values_list(text("file_name"), text("status"), text("job_id")).first()
    return dict(zip(names, found, strict=True)) | {"there": True} if found else {}


def _files(database: str, file_uuid: str) -> QuerySet[File]:
    return File.objects.using(database).alias(key=text("file_uuid")).filter(key=file_uuid)


def _file_of_job(anomaly: Anomaly) -> str | None:
    if anomaly.object_type != "job":
        return None
    found: str | None = _own_job(anomaly).order_by().values_list(text("file_uuid"), flat=True).first()
    return found


def _own_job(anomaly: Anomaly) -> QuerySet[MonitorJob]:
    return MonitorJob.objects.using(anomaly.database).alias(key=text("id")).filter(key=anomaly.object_id)


def _jobs(anomaly: Anomaly, file_uuid: str) -> dict[str, Any]:
    every = MonitorJob.objects.using(anomaly.database)
    newest = _read(every.alias(key=text("file_uuid")).filter(key=file_uuid), file_uuid)
    # The two columns with each other: no cast, so that the key's own index finds it whatever its type.
    named = _read(every.filter(pk=Subquery(_files(anomaly.database, file_uuid).values("job_id")[:1])), file_uuid)
    found = {job.id: job for job, _ in newest} | {job.id: replace(job, named=True) for job, _ in named}
    if anomaly.object_type == "job" and anomaly.object_id not in found:
        found |= {job.id: job for job, _ in _read(_own_job(anomaly), file_uuid)}
    return {
        "jobs": sorted(found.values(), key=lambda job: (not job.created_at, job.created_at or timezone.now())),
        "newest": len(newest),
        "in_all": newest[0][1] if newest else 0,
    }


def _read(jobs: QuerySet[MonitorJob], file_uuid: str) -> list[tuple[Job, int]]:
    """The newest, the oldest of them first, each with how many there are in all."""
    newest = jobs.order_by(F("created_at").desc(nulls_last=True), "-pk")
    names = (text("id"), text("status"), "created_at", "finished_at", text("file_uuid"), Window(Count("*")))
    return [
        (Job(key, status, _aware(made), _aware(ended), of, of == file_uuid), in_all)
        for key, status, made, ended, of, in_all in reversed(newest.values_list(*names)[:JOBS])
    ]


def _aware(moment: datetime | None) -> datetime | None:
    """A column may have no zone; it is UTC then, as everywhere."""
    return timezone.make_aware(moment, UTC) if moment and timezone.is_naive(moment) else moment
