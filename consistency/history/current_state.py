"""Read the current rows behind one anomaly: the object, its file and the jobs of the file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import Count, F, Q, QuerySet, Subquery, Window
from django.utils import timezone

from common.budget import Budget
from common.postgres.connections import no_writes
from common.postgres.deadline import deadline
from consistency.expressions import text
from consistency.history.suppression import load_baseline
from consistency.models import File, MonitorJob
from consistency.models.conditions import PREFIX_LENGTH, prefix
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Query
from consistency.scan.findings import NO_KEY, finding_columns, finding_values, rows
from consistency.scan.guards import Baseline, Guard
from consistency.scan.reasons import reason
from consistency.scan.snapshot import begin_snapshot, limit_statement, reading_only
from consistency.scan.sql import query_sql

READ_TIMEOUT: Final = 2.0
MAX_JOBS: Final = 50
"""Newest jobs of a file."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the file, or a job related to the anomaly."""

    id: str
    status: str | None
    created_at: datetime | None
    """None if an attached table has no time."""
    finished_at: datetime | None
    file_uuid: str | None
    """File of the job."""
    of_file: bool = True
    """True if the job names the file of the anomaly."""
    named: bool = False
    """True if the file's job_id names the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentState:
    """Current rows of the object of an anomaly."""

    breaks_rule: bool | None = None
    """None if the check cannot run for a single row, or could not run."""
    detail: str | None = None
    row_exists: bool | None = None
    """External checks: True if the object has a row; None if the check has no row query."""
    name: str | None = None
    """External checks: the name in that row."""
    file_uuid: str | None = None
    file_name: str | None = None
    file_path: str | None = None
    status: str | None = None
    job: str | None = None
    file_exists: bool = False
    jobs: Sequence[Job] = ()
    """The newest jobs that name the file, the job of its job_id and the job of the anomaly; oldest first."""
    newest: int = 0
    """Number of the newest jobs among `jobs`."""
    jobs_in_total: int = 0
    problem: str | None = None
    """Reason why the rows could not be read, safe for clients."""

    @property
    def named(self) -> bool:
        """Return True if the job of the file's job_id exists."""
        return any(job.named for job in self.jobs)


def current_state(anomaly: Anomaly) -> CurrentState:
    """Read the rows in one read-only snapshot. Never raises for the database."""
    if anomaly.database not in connections:
        return CurrentState(problem=f"database {anomaly.database!r} is no longer configured")
    budget = Budget(READ_TIMEOUT)
    try:
        with _snapshot(anomaly.database, budget, load_baseline(anomaly.database)):
            return CurrentState(**_values(anomaly))
    except Exception as error:
        return CurrentState(problem=reason(error, budget))


def object_sql(anomaly: Anomaly) -> list[str]:
    """Return the SQL that shows the row of an anomaly while the row breaks the rule, for people to run in psql.

    For an external check the SQL shows the row of the object.
    """
    if anomaly.database not in connections:
        return []
    # current_state() reports an error of the check.
    with suppress(Exception), no_writes():
        queries = _object_queries(anomaly)
        if (row := _row_query(anomaly)) is not None:
            queries.append(row)
        statements = (query_sql(query.order_by(), anomaly.database, reindent=True) for query in queries)
        return [f"{statement};" for statement in statements if statement]
    return []


def anomalies_of_same_file(anomaly: Anomaly, limit: int = 20) -> Sequence[Anomaly]:
    """Return further anomalies of the file of an anomaly, open anomalies first."""
    if anomaly.file_uuid is None:
        return []
    return [row for row in anomalies_with("file_uuid", anomaly.file_uuid, anomaly.database) if row.pk != anomaly.pk][
        :limit
    ]


def anomalies_with(field: str, value: str, database: str) -> list[Anomaly]:
    """Return at most 100 anomalies with a file_uuid, or with an object_id that is no file's; open anomalies first."""
    same = Anomaly.objects.filter(database=database, **{field: value})
    by_index = same.alias(start=prefix(field)).filter(start=value[:PREFIX_LENGTH])
    if field == "object_id":
        by_index = by_index.exclude(object_type="file")
    # Sorted here: an ORDER BY would make PostgreSQL walk the index of that order instead of the file's.
    return sorted(by_index.order_by()[:100], key=lambda row: (row.resolved_at is not None, -row.pk))


@contextmanager
def _snapshot(database: str, budget: Budget, baseline: Baseline) -> Iterator[None]:
    with no_writes() as by_alias, deadline(budget.seconds + 0.5), transaction.atomic(using=database):
        connection, guard = by_alias[database], Guard(baseline)
        begin_snapshot(connection, budget.seconds)
        guard.compare_tables(connection, budget)
        limit_statement(connection, budget)
        with reading_only(connection, guard.refused):
            yield


def _object_queries(anomaly: Anomaly) -> list[Query]:
    """Return the queries of the check, limited to the object; empty for a retired or external check."""
    check = CHECKS.get(anomaly.check_name)
    if check is None or check.external:
        return []
    is_object = Q(object_key=anomaly.object_id)
    if anomaly.object_id == NO_KEY:
        is_object |= Q(object_key__isnull=True)
    return [
        query.alias(object_key=finding_columns(query).object_id).filter(is_object)
        for query in check.queries()
        if finding_columns(query).object_type == anomaly.object_type
    ]


def _row_query(anomaly: Anomaly) -> Query | None:
    check = CHECKS.get(anomaly.check_name)
    return check.row(anomaly.object_id) if check and check.row else None


def _values(anomaly: Anomaly) -> dict[str, Any]:
    file_uuid = anomaly.file_uuid or _file_of_job(anomaly)
    values: dict[str, Any] = _rule_values(anomaly) | {"file_uuid": file_uuid}
    if file_uuid is not None:
        values |= _file_values(anomaly.database, file_uuid) | _job_values(anomaly, file_uuid)
    return values


def _rule_values(anomaly: Anomaly) -> dict[str, Any]:
    if not (queries := _object_queries(anomaly)):
        if (query := _row_query(anomaly)) is None:
            return {}
        row = next(iter(query.using(anomaly.database)[:1]), None)
        return {"row_exists": row is not None, "name": getattr(row, "name", None)}
    check = CHECKS[anomaly.check_name]
    for query in queries:
        for finding in rows(query, check, finding_values(query.using(anomaly.database), check)[:1]):
            return {"breaks_rule": True, "detail": finding["detail"]}
    return {"breaks_rule": False}


def _file_values(database: str, file_uuid: str) -> dict[str, Any]:
    names = ("file_name", "file_path", "status", "job")
    files = _files(database, file_uuid).order_by()
    values = files.values_list(text("file_name"), text("file_path"), text("status"), text("job_id")).first()
    return dict(zip(names, values, strict=True)) | {"file_exists": True} if values else {}


def _files(database: str, file_uuid: str) -> QuerySet[File]:
    return File.objects.using(database).alias(key=text("file_uuid")).filter(key=file_uuid)


def _file_of_job(anomaly: Anomaly) -> str | None:
    if anomaly.object_type != "job":
        return None
    file_uuid: str | None = _own_job(anomaly).order_by().values_list(text("file_uuid"), flat=True).first()
    return file_uuid


def _own_job(anomaly: Anomaly) -> QuerySet[MonitorJob]:
    return MonitorJob.objects.using(anomaly.database).alias(key=text("id")).filter(key=anomaly.object_id)


def _job_values(anomaly: Anomaly, file_uuid: str) -> dict[str, Any]:
    jobs = MonitorJob.objects.using(anomaly.database)
    newest = _read_jobs(jobs.alias(key=text("file_uuid")).filter(key=file_uuid), file_uuid)
    # Column against column, without a cast: the index of the key serves any type.
    named = _read_jobs(jobs.filter(pk=Subquery(_files(anomaly.database, file_uuid).values("job_id")[:1])), file_uuid)
    by_id = {job.id: job for job, _ in newest} | {job.id: replace(job, named=True) for job, _ in named}
    if anomaly.object_type == "job" and anomaly.object_id not in by_id:
        by_id |= {job.id: job for job, _ in _read_jobs(_own_job(anomaly), file_uuid)}
    return {
        "jobs": sorted(by_id.values(), key=lambda job: (not job.created_at, job.created_at or timezone.now())),
        "newest": len(newest),
        "jobs_in_total": newest[0][1] if newest else 0,
    }


def _read_jobs(jobs: QuerySet[MonitorJob], file_uuid: str) -> list[tuple[Job, int]]:
    """Return pairs of the newest jobs, oldest first, and the total number of jobs."""
    newest = jobs.order_by(F("created_at").desc(nulls_last=True), "-pk")
    columns = (text("id"), text("status"), "created_at", "finished_at", text("file_uuid"), Window(Count("*")))
    return [
        (Job(key, status, _aware(created), _aware(finished), of, of == file_uuid), total)
        for key, status, created, finished, of, total in reversed(newest.values_list(*columns)[:MAX_JOBS])
    ]


def _aware(moment: datetime | None) -> datetime | None:
    """Read a time without zone as UTC."""
    return timezone.make_aware(moment, UTC) if moment and timezone.is_naive(moment) else moment
