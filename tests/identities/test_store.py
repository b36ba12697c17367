"""Identities on disk, and the index."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from identities.store import IdentityStore, identities_folder

OnDisk = Callable[..., None]


def test_it_knows_folders_and_files_apart(folder: Path, on_disk: OnDisk) -> None:
    on_disk("a", "b")
    (folder / "empty").mkdir()
    (folder / "loose.json").write_text("{}")
    assert identities_folder() == folder
    store = IdentityStore.read(folder)
    assert store.folders == {"a", "b", "empty"}
    assert store.files == {"a", "b"}
    assert not store.empty


def test_a_link_to_a_folder_is_a_folder(folder: Path, on_disk: OnDisk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "identity.json").write_text("{}")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "broken link").symlink_to(tmp_path / "nowhere")
    assert IdentityStore.read(folder).files == {"linked"}


def test_an_entry_that_cannot_be_read_is_unreadable_and_the_remaining_entries_are_read(
    folder: Path, on_disk: OnDisk
) -> None:
    on_disk("a", "b")
    (folder / "loop").symlink_to("loop")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    (folder / "b" / "identity.json").unlink()
    (folder / "b" / "identity.json").symlink_to("identity.json")
    on_disk("empty")
    (folder / "empty" / "identity.json").write_text("")
    store = IdentityStore.read(folder)
    assert store.folders == {"a", "b", "empty"}
    assert store.files == {"a"}
    assert store.unreadable == {"loop", "one", "two", "b", "empty"}


def test_a_file_without_permission_to_read_is_unreadable(
    folder: Path, on_disk: OnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk("a")
    # The tests may run as root, who may read every file.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    assert IdentityStore.read(folder).unreadable == {"a"}


def test_the_folder_of_the_file_system_for_lost_files_is_no_identity(folder: Path) -> None:
    (folder / "lost+found").mkdir()
    assert IdentityStore.read(folder).folders == set()


def test_a_hidden_entry_that_cannot_be_read_is_ignored(folder: Path) -> None:
    (folder / ".loop").symlink_to(".loop")
    (folder / "_loop").symlink_to("_loop")
    assert IdentityStore.read(folder).unreadable == set()


@pytest.mark.parametrize(
    ("index", "matches"),
    [("ab", True), ("abl", True), ("a", False), ("abc", False), ("aB", False), ("", False), ("al", False)],
)
def test_an_index_matches_that_names_each_folder_and_perhaps_an_unreadable_entry(
    folder: Path, on_disk: OnDisk, index: str, matches: bool
) -> None:
    on_disk("a", "b")
    (folder / "l").symlink_to("l")
    assert IdentityStore.read(folder).matches(frozenset(index)) == matches


def test_a_folder_is_empty_without_folders_entries_and_index(folder: Path) -> None:
    assert not IdentityStore.read(folder).empty
    (folder / "_index.json").unlink()
    assert IdentityStore.read(folder).empty
    (folder / "loop").symlink_to("loop")
    assert not IdentityStore.read(folder).empty
