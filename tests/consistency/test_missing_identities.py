"""A lost disk or a wrong database makes most identities look wrong; then the checks could not run."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from consistency.history.scanning import read_scan
from consistency.registry import CHECKS
from identities.models import Identity
from tests.consistency.conftest import moved_to
from tests.consistency.history.data import recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

NAMES = [f"identity-{number:03}" for number in range(120)]
NO_FOLDER = "{} of 120 identities have no folder; is the disk mounted? (--accept-ratio)"
NO_ROW = "{} of 120 identity folders have no row; is this the right database? (--accept-ratio)"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.IDENTITIES_DIR = tmp_path
    return tmp_path


def outcome(name: str, folder: Path, *, rows: int, folders: int) -> str | int | None:
    """Return the error of a check, or the number of findings."""
    Identity.objects.bulk_create(Identity(uuid=uuid, name="Ann") for uuid in NAMES[:rows])
    for uuid in NAMES[:folders]:
        (folder / uuid).mkdir()
        (folder / uuid / "identity.json").write_text("{}")
    [result] = read_scan([CHECKS[name]]).outcomes
    return result.error or result.count


@pytest.mark.parametrize(("present", "expected"), [(84, 36), (83, NO_FOLDER.format(37))])
def test_a_third_of_the_folders_is_gone(folder: Path, present: int, expected: int | str) -> None:
    assert outcome("identity_file_missing", folder, rows=120, folders=present) == expected


@pytest.mark.parametrize(("present", "expected"), [(84, 36), (83, NO_ROW.format(37))])
def test_a_third_of_the_rows_is_gone(folder: Path, present: int, expected: int | str) -> None:
    assert outcome("identity_row_missing", folder, rows=present, folders=120) == expected


def test_a_different_table_of_identities_is_refused(folder: Path, database_url: str) -> None:
    recorded("identity_file_missing")
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shadow; CREATE TABLE shadow.identities (LIKE identities INCLUDING ALL)")
    try:
        with moved_to(f"{database_url}?options=-c%20search_path%3Dshadow%2Cpublic"):
            [result] = recorded("identity_file_missing").report.outcomes
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA shadow CASCADE")
    assert result.error == "identities is now shadow.identities; the last scan read public.identities (--accept-tables)"
