"""Every check over every combination of what a file and its jobs can be, against rules written anew in Python."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, product

import pytest

from consistency.models import File, MonitorJob
from consistency.registry import CHECKS

pytestmark = pytest.mark.django_db

FILE_STATUSES = ("unregistered", "registered", "processing", "completed", "Processing", "ready", "processing ", "")
JOB_STATUSES = ("pending", "running", "completed", "failed", "Running", "PENDING", "done", "")
NAMED = (None, "dangling", *JOB_STATUSES)
"""What job_id points at: nothing, a job that does not exist, or one in each status."""
OWNERS = ("its own", "another file's", "nobody's")
"""Whose file_uuid the job that job_id names carries."""
OTHERS = ((), ("pending",), ("running",), ("completed", "failed"), ("Running", ""), ("pending", "running"))
"""Jobs that carry the file's file_uuid besides."""
ACTIVE = {"pending", "running"}


@dataclass
class Case:
    uuid: str
    status: str
    job: int | None
    named: str | None
    others: tuple[str, ...]
    own: bool


@pytest.fixture
def cases() -> list[Case]:
    """All combinations, stored."""
    numbers = count(1)
    found = list(_cases(numbers))
    MonitorJob.objects.bulk_create(
        MonitorJob(id=next(numbers), file_uuid=case.uuid, status=status) for case in found for status in case.others
    )
    File.objects.bulk_create(
        File(file_uuid=case.uuid, file_name="same name", status=case.status, job_id=case.job) for case in found
    )
    return found


def _cases(numbers: Iterator[int]) -> Iterator[Case]:
    for place, (status, named, owner, others) in enumerate(product(FILE_STATUSES, NAMED, OWNERS, OTHERS)):
        job = None if named is None else next(numbers)
        case = Case(f"file {place:05}", status, job, named, others, own=owner == "its own")
        if job is not None and named in JOB_STATUSES:
            carries = {"its own": case.uuid, "another file's": f"another {place}", "nobody's": ""}[owner]
            MonitorJob.objects.create(id=job, file_uuid=carries, status=named)
        yield case


def orphaned(case: Case) -> bool:
    working = case.named in ACTIVE or bool(ACTIVE.intersection(case.others))
    return case.status == "processing" and not working


EXPECTED: dict[str, Callable[[Case], bool]] = {
    "stale_processing": lambda case: case.status == "processing" and case.job is None,
    "orphaned_processing": orphaned,
    "processing_job_done": lambda case: case.status == "processing" and case.named == "completed",
    "unregistered_with_uuid": lambda case: case.status == "unregistered",
    "unknown_status": lambda case: case.status not in {"unregistered", "registered", "processing", "completed"},
}


def test_each_check_over_files_flags_exactly_the_combinations_that_its_sentence_names(cases: list[Case]) -> None:
    assert len(cases) == len(FILE_STATUSES) * len(NAMED) * len(OWNERS) * len(OTHERS)
    for name, rule in EXPECTED.items():
        expected = {case.uuid for case in cases if rule(case)}
        flagged = {file.pk for query in CHECKS[name].queries() if query.model is File for file in query}
        assert flagged == expected, name
        assert 0 < len(flagged) < len(cases)


def test_jobs_are_duplicates_by_what_they_carry_not_by_who_points_at_them(cases: list[Case]) -> None:
    expected = set()
    for case in cases:
        own = [case.named] if case.own and case.named in JOB_STATUSES else []
        active = [status for status in (*own, *case.others) if status in ACTIVE]
        if len(active) > 1:
            expected.add(case.uuid)
    [query] = CHECKS["duplicate_active_jobs"].queries()
    assert {job.file_uuid for job in query} == expected
    assert expected


def test_active_jobs_without_file_are_those_that_carry_no_files_uuid(cases: list[Case]) -> None:
    existing = {case.uuid for case in cases}
    expected = {job.pk for job in MonitorJob.objects.all() if job.status in ACTIVE and job.file_uuid not in existing}
    [query] = CHECKS["job_without_file"].queries()
    assert {job.pk for job in query} == expected
    assert expected
