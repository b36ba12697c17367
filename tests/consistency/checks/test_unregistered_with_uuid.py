"""Status=unregistered but row still in DB."""

import pytest

from tests.consistency.data import a_file, details, finding_rows

pytestmark = pytest.mark.django_db


def test_it_flags_every_unregistered_row_with_or_without_a_job() -> None:
    a_file("a", "unregistered")
    a_file("b", "unregistered", job=99)
    assert details("unregistered_with_uuid") == dict.fromkeys(("a", "b"), "row left over from a migration")


def test_it_leaves_alone_every_other_status() -> None:
    for status in ("registered", "processing", "completed", "Unregistered", "UNREGISTERED", " unregistered", ""):
        a_file(f"status {status}", status)
    assert finding_rows("unregistered_with_uuid") == []
