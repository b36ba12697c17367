"""An identity has a row but no identity.json on disk."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from consistency.registry import CHECKS, CheckError
from identities.models import Identity
from tests.identities.conftest import read

pytestmark = pytest.mark.django_db

OnDisk = Callable[..., None]


def rows(*uuids: str) -> None:
    Identity.objects.bulk_create(Identity(uuid=uuid, name="same name") for uuid in uuids)


def details() -> dict[str, str]:
    return {finding.object_id: finding.detail for finding in CHECKS["identity_file_missing"].findings("default")}


def test_it_flags_rows_without_a_folder_and_with_a_folder_that_lacks_the_file(folder: Path, on_disk: OnDisk) -> None:
    rows("whole", "no folder", "empty folder", "folder in its place", "no FOLDER")
    on_disk("whole")
    (folder / "empty folder").mkdir()
    (folder / "folder in its place" / "identity.json").mkdir(parents=True)
    (folder / "no folder.json").write_text("{}")
    assert details() == {
        uuid: f"no identity.json in the folder {uuid}"
        for uuid in ("no folder", "empty folder", "folder in its place", "no FOLDER")
    }


def test_it_leaves_alone_rows_with_a_file_inactive_ones_too(on_disk: OnDisk) -> None:
    rows("a", "b")
    Identity.objects.filter(uuid="b").update(is_active=False)
    on_disk("a", "b", "only on disk")
    assert details() == {}


def test_it_leaves_alone_a_platform_without_any_identity(folder: Path) -> None:
    (folder / "_index.json").unlink()
    assert details() == {}


def test_it_could_not_run_without_a_folder(settings: Settings) -> None:
    rows("a")
    settings.IDENTITIES_DIR = None
    with pytest.raises(CheckError, match="IDENTITIES_DIR is not set"):
        details()


def test_it_could_not_run_while_the_folder_is_gone_and_does_not_call_all_files_missing(folder: Path) -> None:
    rows("a")
    shutil.rmtree(folder)
    with pytest.raises(CheckError, match="cannot be read") as problem:
        details()
    assert str(folder) not in str(problem.value)


def test_it_could_not_run_on_an_empty_folder_as_of_an_unmounted_disk(folder: Path) -> None:
    rows("a")
    (folder / "_index.json").unlink()
    with pytest.raises(CheckError, match="not mounted"):
        details()


def test_it_flags_a_row_whose_file_cannot_be_read_and_does_not_call_the_file_missing(
    folder: Path, on_disk: OnDisk
) -> None:
    rows("a", "loop", "b")
    on_disk("a")
    # A link in a circle is unreadable even for root.
    (folder / "loop").symlink_to("loop")
    (folder / "b").mkdir()
    (folder / "b" / "identity.json").symlink_to("identity.json")
    assert details() == {uuid: f"{uuid}/identity.json cannot be read" for uuid in ("b", "loop")}


@pytest.mark.usefixtures("without_primary_key")
def test_it_leaves_alone_a_row_without_uuid_and_returns_the_number_of_compared_rows(on_disk: OnDisk) -> None:
    rows("a", "b")
    on_disk("a")
    findings, counted = read(CHECKS["identity_file_missing"])
    assert ([finding.object_id for finding in findings], counted) == (["b"], 2)
