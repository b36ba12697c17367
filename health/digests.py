"""SHA-256 digests of files, computed again only when a file looks changed, or once a day."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from typing import Final, NamedTuple

A_DAY: Final = 86_400.0
# A file written to twice within the clock's grain looks unchanged; one that was left alone for so long does not.
SETTLED: Final = 2.0


class Look(NamedTuple):
    """What changes when a file's content does."""

    size: int
    modified: int
    inode: int
    changed: int


class Known(NamedTuple):
    look: Look
    digest: str
    read_at: float


@dataclass(slots=True)
class Digests:
    """Remembers digests by path. It has no `close`: nothing in it can hang or break."""

    _known: dict[bytes, Known] = field(default_factory=dict)

    def of(self, path: bytes) -> str | None:
        """The file's digest in lower-case hex; None for what is no regular file or cannot be read."""
        try:
            known = self._known.get(path)
            if known and known.look == _look(os.stat(path)) and time.monotonic() - known.read_at < A_DAY:
                return known.digest
            return self._read(path)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            self._known.pop(path, None)
            return None

    def _read(self, path: bytes) -> str:
        with _regular(path) as file:
            before = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time() - before.st_ctime > SETTLED:
            self._known[path] = Known(_look(before), digest, time.monotonic())
        return digest


def read_regular(path: bytes) -> bytes | None:
    """The file's content; None for what is no regular file or cannot be read."""
    try:
        with _regular(path) as file:
            return file.readall()
    except OSError:
        return None


def _look(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


@contextmanager
def _regular(path: bytes) -> Iterator[FileIO]:
    # Without O_NONBLOCK, opening a FIFO waits for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        yield FileIO(descriptor, closefd=False)
    finally:
        os.close(descriptor)
