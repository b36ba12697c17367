"""SHA-256 digests of files, computed again if the file seems changed, or after a day."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from typing import Final, NamedTuple

MAX_AGE: Final = 86_400.0
# Two writes within one tick of the clock leave the same timestamps, so a digest of a younger file is not kept.
SETTLE_TIME: Final = 2.0


class Fingerprint(NamedTuple):
    """The metadata that changes with the content."""

    size: int
    modified: int
    inode: int
    changed: int


class Cached(NamedTuple):
    fingerprint: Fingerprint
    digest: str
    read_at: float


@dataclass(slots=True)
class Digests:
    """A cache of digests by path. Without `close`, because a cache cannot hang or break."""

    _cache: dict[bytes, Cached] = field(default_factory=dict)

    def of(self, path: bytes) -> str | None:
        """Return the digest in lower-case hex; None if the path is unreadable or not a regular file."""
        try:
            cached = self._cache.get(path)
            if (
                cached
                and cached.fingerprint == _fingerprint(os.stat(path))
                and time.monotonic() - cached.read_at < MAX_AGE
            ):
                return cached.digest
            return self._read(path)
        except (OSError, ValueError):  # ValueError: NUL in the name
            self._cache.pop(path, None)
            return None

    def _read(self, path: bytes) -> str:
        with _regular_file(path) as file:
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time() - status.st_ctime > SETTLE_TIME:
            self._cache[path] = Cached(_fingerprint(status), digest, time.monotonic())
        return digest


def read_regular(path: bytes) -> bytes | None:
    """Return the content of the file; None if the path is unreadable or not a regular file."""
    try:
        with _regular_file(path) as file:
            return file.readall()
    except OSError:
        return None


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return Fingerprint(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


@contextmanager
def _regular_file(path: bytes) -> Iterator[FileIO]:
    # Without O_NONBLOCK the open of a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        yield FileIO(descriptor, closefd=False)
    finally:
        os.close(descriptor)
