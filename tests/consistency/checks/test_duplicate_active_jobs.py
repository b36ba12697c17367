"""More than one active job works on the same file."""

import pytest

from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_each_of_the_active_jobs_of_one_file() -> None:
    a_file("a", "processing", job=1)
    a_job(1, "running", of="a")
    a_job(2, "pending", of="a")
    a_job(3, "running", of="gone")
    a_job(4, "running", of="gone")
    a_job(5, "running", of="gone")
    assert details("duplicate_active_jobs") == {
        **dict.fromkeys(("1", "2"), "one of 2 active jobs of file a"),
        **dict.fromkeys(("3", "4", "5"), "one of 3 active jobs of file gone"),
    }
    assert finding_rows("duplicate_active_jobs")[0] == {
        "object_type": "job",
        "object_id": "1",
        "file_name": "a.mp4",
        "file_uuid": "a",
        "status": "processing",
        "detail": "one of 2 active jobs of file a",
    }


def test_it_leaves_alone_single_jobs_ended_ones_and_jobs_that_name_no_file() -> None:
    a_job(1, "running", of="a")
    a_job(2, "completed", of="a")
    a_job(3, "failed", of="a")
    a_job(4, "Running", of="a")
    a_job(5, "pending", of="b")
    a_job(6, "running")
    a_job(7, "running")
    assert finding_rows("duplicate_active_jobs") == []
