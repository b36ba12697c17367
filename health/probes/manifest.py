"""The manifest of checksums: a file in the format of `sha256sum`, compared with the files in its folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from health.probes.digests import Digests, read_regular

MANIFEST: Final = b"checksums.sha256"
# As coreutils reads lines: a leading backslash announces an escaped name; digests may be upper or lower case.
PLAIN: Final = re.compile(rb"[ \t]*(\\?)([0-9a-fA-F]{64})[ \t](.+)", re.DOTALL)
TAGGED: Final = re.compile(rb"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*([0-9a-fA-F]{64})", re.DOTALL)
ESCAPE: Final = re.compile(rb"\\(.?)", re.DOTALL)
ESCAPED: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


class Entry(NamedTuple):
    """One line of the manifest. `name` is bytes, because a file name need not be text."""

    name: bytes
    digest: str


class Integrity(NamedTuple):
    """The number of entries, and of entries whose file has the expected digest."""

    matched: int
    total: int

    @property
    def ok(self) -> bool:
        """Whether there are entries, and every entry matches."""
        return self.matched == self.total > 0


def verify(folder: Path, digests: Digests) -> Integrity:
    """Compare the manifest of the folder with its files. Without readable manifest there are no entries."""
    root = os.fsencode(folder)
    entries = list(parse(read_regular(os.path.join(root, MANIFEST)) or b""))
    return Integrity(sum(_matches(root, entry, digests) for entry in entries), len(entries))


def _matches(folder: bytes, entry: Entry, digests: Digests) -> bool:
    # A name outside the folder never matches, nor does `-`, the standard input of sha256sum.
    if entry.name == b"-" or os.path.isabs(entry.name) or os.path.normpath(entry.name).split(b"/")[0] == b"..":
        return False
    return digests.of(os.path.join(folder, entry.name)) == entry.digest


def parse(content: bytes) -> Iterator[Entry]:
    """Yield the well-formed lines, as `sha256sum -c` does. Comments, empty and malformed lines are skipped."""
    is_reversed: bool | None = None
    for raw in content.split(b"\n"):
        line = raw.removesuffix(b"\r")
        if line.startswith(b"#") or not line:
            continue
        if match := TAGGED.fullmatch(line):
            escaped, name, digest = match.groups()
            yield from _entry(name, digest, escaped)
        elif match := PLAIN.fullmatch(line):
            escaped, digest, name = match.groups()
            # BSD's reversed form has no type flag before the name. The first line that shows the form decides:
            # otherwise a file whose name begins with a space could pass for a different file.
            if len(name) == 1 or name[:1] not in (b" ", b"*"):
                if is_reversed is False:
                    continue
                is_reversed = True
            elif not is_reversed:
                is_reversed, name = False, name[1:]
            yield from _entry(name, digest, escaped)


def _entry(name: bytes, digest: bytes, escaped: bytes) -> Iterator[Entry]:
    """Yield the entry, unless its name holds an unknown escape."""
    if not escaped:
        yield Entry(name, digest.decode().lower())
    elif all(escape in ESCAPED for escape in ESCAPE.findall(name)):
        yield Entry(ESCAPE.sub(lambda escape: ESCAPED[escape[1]], name), digest.decode().lower())
