"""Identities on disk: `{IDENTITIES_DIR}/{uuid}/identity.json`, and an index for work without the database."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from django.conf import settings

from common.files import MEGABYTE

INDEX: Final = "_index.json"
FILE: Final = "identity.json"
LOST_AND_FOUND: Final = "lost+found"  # a folder of the file system


def identities_folder() -> Path | None:
    """Return IDENTITIES_DIR; None if the setting is empty."""
    folder: Path | None = settings.IDENTITIES_DIR
    return folder


@dataclass(frozen=True, slots=True)
class IdentityStore:
    """The content of the folder. The names of subfolders are uuids."""

    folders: frozenset[str]
    """Names of all subfolders."""
    files: frozenset[str]
    """Names of subfolders with an identity.json."""
    unreadable: frozenset[str]
    """Names of unreadable entries, such as a link in a circle, and of subfolders with an unreadable identity.json."""
    has_index: bool

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the folder. Raise OSError if the folder cannot be listed."""
        folders, files, unreadable = set(), set(), set()
        limit = settings.IDENTITIES_FILE_LIMIT * MEGABYTE
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.name[0] not in "._" and entry.name != LOST_AND_FOUND and entry.is_dir():
                        folders.add(entry.name)
                        if _is_file(folder / entry.name / FILE, limit):
                            files.add(entry.name)
                except OSError:
                    unreadable.add(entry.name)
        has_index = os.path.lexists(folder / INDEX)
        return cls(frozenset(folders), frozenset(files), frozenset(unreadable), has_index)

    @property
    def empty(self) -> bool:
        """Whether there is no subfolder, no unreadable entry and no index."""
        return not (self.folders or self.unreadable or self.has_index)

    def matches(self, index: frozenset[str]) -> bool:
        """Return whether an index names exactly the subfolders. An unreadable entry may be a subfolder."""
        return index - self.unreadable == self.folders - self.unreadable


def _is_file(path: Path, limit: int) -> bool:
    """Return whether the file exists. Raise OSError for an unreadable, an empty or a too large file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    exists = stat.S_ISREG(status.st_mode)
    if exists and not (0 < status.st_size <= limit and os.access(path, os.R_OK)):
        raise OSError("unreadable, empty or too large")
    return exists
