"""Identities on disk, and the index."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from identities.store import IdentityStore, identities_folder, read_index

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
    store = IdentityStore.read(folder)
    assert store.folders == {"a", "b"}
    assert store.files == {"a"}
    assert store.unreadable == {"loop", "one", "two", "b"}


def test_a_hidden_entry_that_cannot_be_read_is_ignored(folder: Path) -> None:
    (folder / ".loop").symlink_to(".loop")
    (folder / "_loop").symlink_to("_loop")
    assert IdentityStore.read(folder).unreadable == set()


def index_ok(folder: Path) -> bool:
    index = read_index(folder / "_index.json")
    return index is not None and IdentityStore.read(folder).matches(index)


@pytest.mark.parametrize(
    "index", [{"a": {}, "b": {"name": "B"}}, {"b": 1, "a": None}, [{"uuid": "a"}, {"uuid": "b", "name": ""}]]
)
def test_an_index_is_well_that_names_exactly_the_folders(folder: Path, on_disk: OnDisk, index: Any) -> None:
    on_disk("a", "b")
    (folder / "_index.json").write_text(json.dumps(index))
    assert index_ok(folder)


BROKEN = [
    *("", "{", "null", "3", '"ab"', "[" * 100_000, "\x00"),
    *("[]", '["a", "b"]', '[{"uuid": "a"}, {"name": "b"}]', '[{"uuid": 1}]', '[{"uuid": ["a"]}]'),
    *("{}", '{"a": {}}', '{"a": {}, "b": {}, "c": {}}', '{"A": {}, "b": {}}'),
]


@pytest.mark.parametrize("text", BROKEN)
def test_an_index_is_broken_that_names_others_or_cannot_be_understood(folder: Path, on_disk: OnDisk, text: str) -> None:
    on_disk("a", "b")
    (folder / "_index.json").write_text(text)
    assert not index_ok(folder)


def test_an_index_that_is_missing_is_broken(folder: Path) -> None:
    (folder / "_index.json").unlink()
    assert not index_ok(folder)
    assert IdentityStore.read(folder).empty


def test_an_empty_index_of_an_empty_folder_is_ok(folder: Path) -> None:
    assert index_ok(folder)
    assert not IdentityStore.read(folder).empty
