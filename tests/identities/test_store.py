"""Identities on disk, and the index."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(
    "index", [{"a": {}, "b": {"name": "B"}}, {"b": 1, "a": None}, [{"uuid": "a"}, {"uuid": "b", "name": ""}]]
)
def test_an_index_is_well_that_names_exactly_the_folders(folder: Path, on_disk: OnDisk, index: Any) -> None:
    on_disk("a", "b")
    (folder / "_index.json").write_text(json.dumps(index))
    assert IdentityStore.read(folder).index_ok


BROKEN = [
    *("", "{", "null", "3", '"ab"', "[" * 100_000, "\x00"),
    *("[]", '["a", "b"]', '[{"uuid": "a"}, {"name": "b"}]', '[{"uuid": 1}]', '[{"uuid": ["a"]}]'),
    *("{}", '{"a": {}}', '{"a": {}, "b": {}, "c": {}}', '{"A": {}, "b": {}}'),
]


@pytest.mark.parametrize("text", BROKEN)
def test_an_index_is_broken_that_names_others_or_cannot_be_understood(folder: Path, on_disk: OnDisk, text: str) -> None:
    on_disk("a", "b")
    (folder / "_index.json").write_text(text)
    assert not IdentityStore.read(folder).index_ok


def test_an_index_that_is_missing_is_broken(folder: Path) -> None:
    (folder / "_index.json").unlink()
    assert not IdentityStore.read(folder).index_ok
    assert IdentityStore.read(folder).empty


def test_an_empty_index_of_an_empty_folder_is_ok(folder: Path) -> None:
    assert IdentityStore.read(folder).index_ok
    assert not IdentityStore.read(folder).empty
