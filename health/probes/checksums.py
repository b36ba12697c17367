"""The checksums of the scripts: a manifest in the format of `sha256sum`, compared with the files in its folder."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from django.conf import settings

from common.files import MEGABYTE, FileTooLargeError, LimitedFile

MANIFEST: Final = b"checksums.sha256"
# A leading backslash announces an escaped name. The marker before the name is a space or `*`.
LINE: Final = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)", re.DOTALL)
ESCAPE: Final = re.compile(rb"\\[\\nr]")
ESCAPED: Final = {rb"\\": b"\\", rb"\n": b"\n", rb"\r": b"\r"}
MAX_AGE: Final = 86_400.0  # seconds; an older digest is computed again
SCRIPT_LIMIT: Final = 1_000  # megabytes; a larger file is no script, and its digest would cost many seconds of CPU


class ScriptsIntegrity(TypedDict):
    matched: int
    total: int
    ok: bool


class ChecksumError(Exception):
    """The checksums cannot be compared. The message is public: no path."""


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
            with LimitedFile(path, SCRIPT_LIMIT * MEGABYTE) as file:
                status = file.status
                metadata = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
                cached = self.get(path)
                if not cached or cached.metadata != metadata or time.monotonic() - cached.read_at > MAX_AGE:
                    cached = Cached(metadata, hashlib.file_digest(file, "sha256").hexdigest(), time.monotonic())
                    self[path] = cached
                return cached.digest
        except FileTooLargeError as error:
            raise ChecksumError(f"a script has {error.megabytes:,} MB, more than {SCRIPT_LIMIT:,} MB") from error
        except (OSError, ValueError):  # ValueError: NUL in the name
            return None


def verify(folder: Path, digests: Digests) -> ScriptsIntegrity:
    """Compare the manifest of the folder with its files. Without readable manifest there are no entries.

    Raises ChecksumError for a file that is too large.
    """
    root, matched, total = os.fsencode(folder), 0, 0
    for name, digest in parse(_manifest(os.path.join(root, MANIFEST), settings.SCRIPTS_MANIFEST_LIMIT)):
        total += 1
        matched += _is_inside(name) and digests.of(os.path.join(root, name)) == digest
    return {"matched": matched, "total": total, "ok": matched == total > 0}


def _manifest(path: bytes, limit: int) -> bytes:
    try:
        return LimitedFile(path, limit * MEGABYTE).content()
    except FileTooLargeError as error:
        size = f"has {error.megabytes:,} MB, more than SCRIPTS_MANIFEST_LIMIT ({limit} MB)"
        raise ChecksumError(f"{MANIFEST.decode()} {size}") from error
    except OSError:
        return b""


def parse(content: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield name and digest of each well-formed line. The name is bytes, because a file name need not be text."""
    for line in BytesIO(content):
        if match := LINE.fullmatch(line.removesuffix(b"\n").removesuffix(b"\r")):
            escaped, digest, name = match.groups()
            if escaped:
                name = ESCAPE.sub(lambda escape: ESCAPED[escape[0]], name)
            yield name, digest.decode().lower()


def _is_inside(name: bytes) -> bool:
    return not os.path.isabs(name) and os.path.normpath(name).split(b"/")[0] != b".."
