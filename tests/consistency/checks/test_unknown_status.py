"""The status of a file or job is no word of the vocabulary."""

import pytest

from consistency.models import FileStatus, JobStatus
from tests.consistency.data import a_file, a_job, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_files_with_other_words_other_case_spaces_and_nothing() -> None:
    for status in ("Processing", "ready", "completed ", "failed", ""):
        a_file(f"status {status}", status)
    assert details("unknown_status") == {
        "status Processing": "status is Processing",
        "status ready": "status is ready",
        "status completed ": "status is completed ",
        "status failed": "status is failed",
        "status ": "status is empty",
    }


def test_it_flags_jobs_too_and_names_their_file_where_it_exists() -> None:
    a_file("a", "registered")
    a_job(1, "Running", of="a")
    a_job(2, "", of="gone")
    assert finding_rows("unknown_status") == [
        {
            "object_type": "job",
            "object_id": "1",
            "file_name": "a.mp4",
            "file_uuid": "a",
            "status": "registered",
            "detail": "status is Running",
        },
        {"object_type": "job", "object_id": "2", "detail": "status is empty"},
    ]


def test_it_leaves_alone_every_word_of_the_vocabulary() -> None:
    for number, word in enumerate(FileStatus.values):
        a_file(word, word, job=number)
    for number, word in enumerate(JobStatus.values):
        a_job(number, word, of=word)
    assert finding_rows("unknown_status") == []
