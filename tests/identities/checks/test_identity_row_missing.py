"""An identity has an identity.json on disk but no row."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consistency.registry import CHECKS, CheckError
from identities.models import Identity
from tests.identities.conftest import read

pytestmark = pytest.mark.django_db

OnDisk = Callable[..., None]


def details() -> dict[str, str]:
    return {finding.object_id: finding.detail for finding in CHECKS["identity_row_missing"].findings("default")}


def test_it_flags_files_whose_uuid_has_no_row(on_disk: OnDisk) -> None:
    Identity.objects.create(uuid="known", name="b")
    on_disk("known", "a", "KNOWN")
    assert details() == dict.fromkeys(("a", "KNOWN"), "no row in identities")


def test_it_leaves_alone_known_identities_empty_folders_and_other_files(folder: Path, on_disk: OnDisk) -> None:
    Identity.objects.create(uuid="known", name="")
    Identity.objects.create(uuid="only a row", name="")
    on_disk("known", "_trash", ".hidden")
    (folder / "empty folder").mkdir()
    (folder / "identity.json").write_text("{}")
    assert details() == {}


def test_it_leaves_alone_an_entry_that_cannot_be_read(folder: Path, on_disk: OnDisk) -> None:
    on_disk("a")
    (folder / "loop").symlink_to("loop")
    (folder / "b").mkdir()
    (folder / "b" / "identity.json").symlink_to("identity.json")
    assert details() == {"a": "no row in identities"}


@pytest.mark.usefixtures("without_primary_key")
def test_it_leaves_alone_a_row_without_uuid_and_returns_the_number_of_files(on_disk: OnDisk) -> None:
    Identity.objects.create(uuid="a", name="")
    on_disk("a", "b")
    findings, counted = read(CHECKS["identity_row_missing"])
    assert ([finding.object_id for finding in findings], counted) == (["b"], 2)


def test_it_could_not_run_while_the_folder_is_gone(folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(CheckError, match="cannot be read"):
        details()


def test_it_could_not_run_on_an_empty_folder_as_of_an_unmounted_disk(folder: Path) -> None:
    Identity.objects.create(uuid="known", name="")
    (folder / "_index.json").unlink()
    with pytest.raises(CheckError, match="not mounted"):
        details()


def test_it_leaves_alone_a_platform_without_any_identity(folder: Path) -> None:
    (folder / "_index.json").unlink()
    assert details() == {}
