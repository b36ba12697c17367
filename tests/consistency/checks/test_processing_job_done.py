"""Status=processing but job already completed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef

from consistency.models import File, MonitorJob
from consistency.registry import CHECKS
from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_a_processing_file_whose_job_is_completed_and_says_when_in_utc() -> None:
    a_job(17, "completed", finished_at=datetime(2026, 5, 18, 19, 30, tzinfo=timezone(timedelta(hours=2))))
    a_job(18, "completed", finished_at=datetime(2026, 5, 18, 23, 59, 59, 999_999, tzinfo=UTC))
    a_job(19, "completed")
    for number in (17, 18, 19):
        a_file(f"file {number}", "processing", job=number)
    assert details("processing_job_done") == {
        "file 17": "job 17 completed at 2026-05-18T17:30:00Z",
        "file 18": "job 18 completed at 2026-05-18T23:59:59Z",
        "file 19": "job 19 completed",
    }


def test_it_names_a_time_that_is_infinite() -> None:
    a_job(1, "completed")
    a_file("a", "processing", job=1)
    with connection.cursor() as cursor:
        for time in ("infinity", "-infinity"):
            cursor.execute("UPDATE monitor_jobs SET finished_at = %s::timestamptz", [time])
            assert details("processing_job_done") == {"a": f"job 1 completed at {time}"}


def test_it_flags_the_file_though_another_job_works_on_it() -> None:
    a_job(1, "completed", of="a")
    a_job(2, "running", of="a")
    a_file("a", "processing", job=1)
    assert list(details("processing_job_done")) == ["a"]


def test_it_leaves_alone_files_whose_named_job_is_anything_else() -> None:
    for number, status in enumerate(("pending", "running", "failed", "Completed", "")):
        a_job(number, status)
        a_file(f"job {status}", "processing", job=number)
    a_job(7, "completed", of="only by file_uuid")
    a_file("only by file_uuid", "processing")
    a_file("dangling", "processing", job=99)
    a_file("done", "completed", job=7)
    assert finding_rows("processing_job_done") == []


def test_asking_first_for_active_jobs_changes_no_row() -> None:
    for number, status in enumerate(("pending", "running", "completed", "failed", "Completed", "")):
        a_job(number, status)
        a_file(f"job {status}", "processing", job=number)
    a_file("dangling", "processing", job=99)
    plain = File.objects.processing().filter(Exists(MonitorJob.objects.completed().filter(pk=OuterRef("job_id"))))
    [fast] = CHECKS["processing_job_done"].queries()
    assert set(fast) == set(plain) == set(File.objects.filter(file_uuid="job completed"))
