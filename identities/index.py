"""The index of identities, `_index.json`. A child process parses a large index: json holds the GIL for a second.

The child runs this file as a script, so this file imports only the standard library.
"""

import json
import os
import stat
import subprocess
import sys
import threading
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any, Final

MEGABYTE: Final = 1_000_000
SMALL: Final = MEGABYTE
"""Up to so many bytes, json takes milliseconds, and less than the start of a process."""
UNUSABLE: Final = "the index cannot be read or is malformed"

Version = tuple[Path, int, int, int]


class IdentityIndex:
    """Reads the index once per change, in a thread that outlives the run of the probe."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._result: tuple[Version | None, frozenset[str] | str] = (None, UNUSABLE)

    def read(self, path: Path, *, limit: int, until: float) -> frozenset[str] | str | None:
        """Return the uuids, or the problem of the index. Return None if the reading goes on at `until`.

        `limit` is in megabytes, `until` a monotonic instant.
        """
        try:
            status = path.stat()
        except FileNotFoundError:
            return f"there is no {path.name}"
        except OSError:
            return UNUSABLE
        if not stat.S_ISREG(status.st_mode):
            return UNUSABLE
        if status.st_size > limit * MEGABYTE:
            size = ceil(status.st_size / MEGABYTE)
            return f"the index has {size} MB, more than IDENTITIES_INDEX_LIMIT ({limit} MB)"
        version = (path, status.st_size, status.st_mtime_ns, status.st_ino)
        if self._result[0] != version and status.st_size <= SMALL:
            self._result = version, _parse_small(path)
        if self._result[0] != version and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(target=self._parse, args=(version,), name="identity index", daemon=True)
            self._thread.start()
        if self._thread:
            self._thread.join(max(0.0, until - monotonic()))
        read, uuids = self._result
        return uuids if read == version else None

    def _parse(self, version: Version) -> None:
        command = [sys.executable, "-I", "-S", __file__, str(version[0])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:  # noqa: S603
            # Line by line, so that other threads get the GIL in between.
            uuids = frozenset(line[:-1].decode("utf-8", "surrogatepass") for line in child.stdout or ())
        self._result = version, UNUSABLE if child.returncode else uuids


def _parse_small(path: Path) -> frozenset[str] | str:
    try:
        return frozenset(uuids_of(json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return UNUSABLE


def uuids_of(index: Any) -> list[str]:
    """Return the uuids of an index: the keys of an object, or `uuid` of each object in a list."""
    uuids = list(index) if isinstance(index, dict) else [entry["uuid"] for entry in index]
    if isinstance(index, str) or not all(isinstance(uuid, str) and "\n" not in uuid for uuid in uuids):
        raise ValueError("the index is neither an object by uuid nor a list of objects with uuid")
    return uuids


if __name__ == "__main__":
    os.nice(19)  # the server's requests go first
    with open(sys.argv[1], "rb") as file, open(1, "wb", closefd=False) as output:
        output.writelines(f"{uuid}\n".encode("utf-8", "surrogatepass") for uuid in uuids_of(json.load(file)))
