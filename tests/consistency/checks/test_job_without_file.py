"""An active job whose file row is gone."""

import pytest

from tests.consistency.data import a_file, a_job, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_active_jobs_of_files_that_do_not_exist() -> None:
    a_file("a", "processing", job=1)
    a_job(1, "running", of="gone")
    a_job(2, "pending", of="")
    a_job(3, "pending", of="A")
    assert finding_rows("job_without_file") == [
        {"object_type": "job", "object_id": "1", "detail": "no file has the file_uuid 'gone'"},
        {"object_type": "job", "object_id": "2", "detail": "no file has the file_uuid ''"},
        {"object_type": "job", "object_id": "3", "detail": "no file has the file_uuid 'A'"},
    ]


def test_it_leaves_alone_jobs_of_existing_files_and_jobs_that_have_ended() -> None:
    a_file("a", "registered")
    a_job(1, "running", of="a")
    a_job(2, "completed", of="gone")
    a_job(3, "failed", of="gone")
    a_job(4, "Running", of="gone")
    assert finding_rows("job_without_file") == []
