"""The checksums of the scripts: a manifest in the format of `sha256sum`, compared with the files in its folder."""

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

MANIFEST: Final = b"checksums.sha256"
# A leading backslash announces an escaped name. The marker before the name is a space or `*`.
LINE: Final = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
ESCAPE: Final = re.compile(rb"\\[\\nr]")
ESCAPED: Final = {rb"\\": b"\\", rb"\n": b"\n", rb"\r": b"\r"}
MAX_AGE: Final = 86_400.0  # seconds; an older digest is computed again


class ScriptsIntegrity(TypedDict):
    matched: int
    total: int
    ok: bool


class Cached(NamedTuple):
    """A digest, and the metadata that change with the content."""

    metadata: tuple[int, ...]
    digest: str
    read_at: float


class Digests(dict[bytes, Cached]):
    """A cache of digests by path. Without `close`, because a cache cannot hang or break."""

    def of(self, path: bytes) -> str | None:
        """Return the SHA-256 digest in lower-case hex; None if the path is unreadable or not a regular file."""
        try:
            with _open(path) as file:
                status = os.fstat(file.fileno())
                metadata = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
                cached = self.get(path)
                if not cached or cached.metadata != metadata or time.monotonic() - cached.read_at > MAX_AGE:
                    cached = Cached(metadata, hashlib.file_digest(file, "sha256").hexdigest(), time.monotonic())
                    self[path] = cached
                return cached.digest
        except (OSError, ValueError):  # ValueError: NUL in the name
            return None


def verify(folder: Path, digests: Digests) -> ScriptsIntegrity:
    """Compare the manifest of the folder with its files. Without readable manifest there are no entries."""
    root = os.fsencode(folder)
    try:
        with _open(os.path.join(root, MANIFEST)) as file:
            entries = list(parse(file.readall()))
    except OSError:
        entries = []
    matched = sum(_is_inside(name) and digests.of(os.path.join(root, name)) == digest for name, digest in entries)
    return {"matched": matched, "total": len(entries), "ok": matched == len(entries) > 0}


def parse(content: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield name and digest of each well-formed line. The name is bytes, because a file name need not be text."""
    for line in content.split(b"\n"):
        if match := LINE.fullmatch(line.removesuffix(b"\r")):
            escaped, digest, name = match.groups()
            if escaped:
                name = ESCAPE.sub(lambda escape: ESCAPED[escape[0]], name)
            yield name, digest.decode().lower()


def _is_inside(name: bytes) -> bool:
    return not os.path.isabs(name) and os.path.normpath(name).split(b"/")[0] != b".."


def _open(path: bytes) -> FileIO:
    # Without O_NONBLOCK the open of a FIFO would wait for a writer.
    file = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("not a regular file")
    return file
