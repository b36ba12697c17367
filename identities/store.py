"""Identities on disk: `{root}/{uuid}/identity.json`, and the index from which the platform works offline."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from django.conf import settings

INDEX: Final = "_index.json"
FILE: Final = "identity.json"


def root() -> Path | None:
    """The folder that holds the identities; None where the platform has none."""
    folder: Path | None = settings.IDENTITIES_DIR
    return folder


@dataclass(frozen=True, slots=True)
class Store:
    """What lay in the folder when it was read."""

    folders: frozenset[str]
    """Names of all folders, each the uuid of an identity."""
    files: frozenset[str]
    """Those that hold an identity.json."""
    index: frozenset[str] | None
    """The uuids that the index names; None if it is missing or cannot be understood."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the folder; OSError if it is absent or unreadable, which says nothing about any identity."""
        with os.scandir(folder) as entries:
            names = {entry.name for entry in entries if entry.name[0] not in "._" and entry.is_dir()}
        files = {name for name in names if _is_file(folder / name / FILE)}
        return cls(frozenset(names), frozenset(files), _index(folder / INDEX))

    @property
    def empty(self) -> bool:
        """Whether nothing at all lies there."""
        return not self.folders and self.index is None

    @property
    def index_ok(self) -> bool:
        """Whether the index names exactly the folders on disk."""
        return self.index == self.folders


def _is_file(path: Path) -> bool:
    """Whether it is a file; OSError, unlike Path.is_file(), where that cannot be known."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _index(path: Path) -> frozenset[str] | None:
    try:
        return frozenset(_uuids(json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _uuids(index: Any) -> list[str]:
    """The uuids of an index: an object by uuid, or a list of objects with `uuid`."""
    found = list(index) if isinstance(index, dict) else [entry["uuid"] for entry in index]
    if not all(isinstance(uuid, str) for uuid in found) or isinstance(index, str):
        raise ValueError("the index is neither an object by uuid nor a list of objects with uuid")
    return found
