"""Status=processing but job_id is null."""

import pytest

from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_a_processing_file_without_a_job() -> None:
    a_file("alone", "processing")
    assert finding_rows("stale_processing") == [
        {"file_name": "alone.mp4", "file_uuid": "alone", "status": "processing", "detail": "job_id is null"}
    ]


def test_it_flags_the_file_though_another_job_works_on_it() -> None:
    a_job(1, "running", of="alone")
    a_file("alone", "processing")
    assert details("stale_processing") == {"alone": "job_id is null"}


def test_it_leaves_alone_files_with_any_job_id_and_files_in_any_other_status() -> None:
    a_job(1, "failed")
    a_file("failed", "processing", job=1)
    a_file("dangling", "processing", job=99)
    for status in ("unregistered", "registered", "completed", "Processing", "processing ", ""):
        a_file(f"status {status}", status)
    assert finding_rows("stale_processing") == []
