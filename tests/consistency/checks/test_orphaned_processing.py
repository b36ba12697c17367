"""Status=processing but no active monitor_job."""

import pytest

from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_processing_files_that_no_job_works_on_and_says_why() -> None:
    a_job(1, "completed")
    a_job(2, "failed")
    a_job(3, "Running")
    a_job(4, "")
    for number in (1, 2, 3, 4, 99):
        a_file(f"job {number}", "processing", job=number)
    a_file("no job", "processing")
    assert details("orphaned_processing") == {
        "job 1": "job 1 is completed",
        "job 2": "job 2 is failed",
        "job 3": "job 3 is Running",
        "job 4": "job 4 is empty",
        "job 99": "job 99 does not exist",
        "no job": "job_id is null and no job is active",
    }


def test_it_flags_a_file_whose_other_jobs_have_ended() -> None:
    a_job(1, "failed", of="a")
    a_job(2, "completed", of="a")
    a_file("a", "processing", job=1)
    assert details("orphaned_processing") == {"a": "job 1 is failed"}


def test_it_leaves_alone_files_with_an_active_job_named_or_not() -> None:
    a_job(1, "running")
    a_job(2, "pending", of="somebody else")
    a_job(3, "failed", of="c")
    a_job(4, "running", of="c")
    a_job(5, "pending", of="d")
    a_file("a", "processing", job=1)
    a_file("b", "processing", job=2)
    a_file("c", "processing", job=3)
    a_file("d", "processing")
    for status in ("unregistered", "registered", "completed", "Processing", ""):
        a_file(f"status {status}", status)
    assert finding_rows("orphaned_processing") == []
