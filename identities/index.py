"""The index of identities, `_index.json`. A child process parses a large index."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Final

from common import process
from common.files import MEGABYTE, FileTooLargeError, LimitedFile
from identities import index_parser

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
            with LimitedFile(path, limit * MEGABYTE) as file:
                status = file.status
        except FileNotFoundError:
            return f"there is no {path.name}"
        except FileTooLargeError as error:
            return f"the index has {error.megabytes} MB, more than IDENTITIES_INDEX_LIMIT ({limit} MB)"
        except OSError:
            return UNUSABLE
        version = (path, status.st_size, status.st_mtime_ns, status.st_ino)
        if self._result[0] != version and status.st_size <= SMALL:
            self._result = version, _parse_small(path)
        if self._result[0] != version and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(
                target=self._parse, args=(version, limit * MEGABYTE), name="identity index", daemon=True
            )
            self._thread.start()
        if self._thread:
            self._thread.join(max(0.0, until - monotonic()))
        read, uuids = self._result
        return uuids if read == version else None

    def _parse(self, version: Version, limit: int) -> None:
        python = (sys.executable, "-I", "-S")
        parser = (*python, index_parser.__file__, str(limit))
        # A server that is killed takes the child along.
        command = (*python, process.__file__, str(signal.SIGKILL.value), str(os.getpid()), "", *parser)
        try:
            with (
                LimitedFile(version[0], limit) as file,
                subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child,  # noqa: S603
            ):
                # Line by line, so that other threads get the GIL in between.
                uuids = frozenset(line[:-1].decode("utf-8", "surrogatepass") for line in child.stdout or ())
        except OSError:
            return  # the next run of the probe tries again
        if child.returncode != -signal.SIGALRM:  # after a timeout too
            self._result = version, UNUSABLE if child.returncode else uuids


def _parse_small(path: Path) -> frozenset[str] | str:
    try:
        return frozenset(index_parser.uuids_of(json.loads(LimitedFile(path, SMALL).content())))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return UNUSABLE
