"""Identities on disk: `{IDENTITIES_DIR}/{uuid}/identity.json`, and an index for work without the database."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from django.conf import settings

INDEX: Final = "_index.json"
FILE: Final = "identity.json"


def identities_folder() -> Path | None:
    """Return IDENTITIES_DIR; None if the setting is empty."""
    folder: Path | None = settings.IDENTITIES_DIR
    return folder


@dataclass(frozen=True, slots=True)
class IdentityStore:
    """The content of the folder."""

    folders: frozenset[str]
    """Names of all subfolders: uuids."""
    files: frozenset[str]
    """Names of subfolders with an identity.json."""
    index: frozenset[str] | None
    """The uuids in the index; None if the index is missing or malformed."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the folder. Raise OSError if any part is absent or unreadable."""
        with os.scandir(folder) as entries:
            names = {entry.name for entry in entries if entry.name[0] not in "._" and entry.is_dir()}
        files = {name for name in names if _is_file(folder / name / FILE)}
        return cls(frozenset(names), frozenset(files), _read_index(folder / INDEX))

    @property
    def empty(self) -> bool:
        """Whether there is no subfolder and no index."""
        return not self.folders and self.index is None

    @property
    def index_ok(self) -> bool:
        """Whether the index names exactly the subfolders."""
        return self.index == self.folders


def _is_file(path: Path) -> bool:
    # Path.is_file() would return False for an unreadable folder; here OSError must end the check.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read_index(path: Path) -> frozenset[str] | None:
    try:
        return frozenset(_uuids(json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _uuids(index: Any) -> list[str]:
    """Return the uuids of an index: the keys of an object, or `uuid` of each object in a list."""
    uuids = list(index) if isinstance(index, dict) else [entry["uuid"] for entry in index]
    if not all(isinstance(uuid, str) for uuid in uuids) or isinstance(index, str):
        raise ValueError("the index is neither an object by uuid nor a list of objects with uuid")
    return uuids
