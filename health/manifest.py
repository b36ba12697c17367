"""Read a manifest that `sha256sum` wrote, and tell of each entry whether its file still has that checksum."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from health.digests import Digests, read_regular

NAME: Final = b"checksums.sha256"
# As coreutils reads them: a leading backslash says that the name is escaped; digests may be of either case.
PLAIN: Final = re.compile(rb"[ \t]*(\\?)([0-9a-fA-F]{64})[ \t](.+)", re.DOTALL)
TAGGED: Final = re.compile(rb"[ \t]*(\\?)SHA256 ?\((.*)\)[ \t]*=[ \t]*([0-9a-fA-F]{64})", re.DOTALL)
ESCAPE: Final = re.compile(rb"\\(.?)", re.DOTALL)
ESCAPED: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


class Entry(NamedTuple):
    """One line: the file's name, in bytes since it need not be text, and its digest in lower case."""

    name: bytes
    digest: str


class Integrity(NamedTuple):
    """How many of the manifest's entries have the checksum that it says."""

    matched: int
    total: int

    @property
    def ok(self) -> bool:
        """Whether there is something to agree with, and all of it agrees."""
        return self.matched == self.total > 0


def verify(folder: Path, digests: Digests) -> Integrity:
    """Compare the folder's manifest with its files; without a readable manifest there are no entries."""
    entries = list(parse(read_regular(os.path.join(os.fsencode(folder), NAME)) or b""))
    return Integrity(sum(_matches(os.fsencode(folder), entry, digests) for entry in entries), len(entries))


def _matches(folder: bytes, entry: Entry, digests: Digests) -> bool:
    """Whether the file is as it should be; one outside the folder, or `-` for the standard input, never is."""
    if entry.name == b"-" or os.path.isabs(entry.name) or os.path.normpath(entry.name).split(b"/")[0] == b"..":
        return False
    return digests.of(os.path.join(folder, entry.name)) == entry.digest


def parse(content: bytes) -> Iterator[Entry]:
    """Yield the well-formed lines, as `sha256sum -c` does; comments, empty and malformed lines are no entries."""
    reversed_form: bool | None = None
    for raw in content.split(b"\n"):
        line = raw.removesuffix(b"\r")
        if line.startswith(b"#") or not line:
            continue
        if (tagged := _tagged(line)) is not None:
            yield tagged
        elif found := PLAIN.fullmatch(line):
            escaped, digest, rest = found.groups()
            # BSD's reversed form has no type flag before the name. The first line that shows which form this is
            # decides: else a file whose name begins with a space could pass for another.
            if len(rest) == 1 or rest[:1] not in (b" ", b"*"):
                if reversed_form is False:
                    continue
                reversed_form = True
            elif not reversed_form:
                reversed_form, rest = False, rest[1:]
            yield from _entry(rest, digest, escaped)


def _tagged(line: bytes) -> Entry | None:
    """The line in the form of `--tag`."""
    if found := TAGGED.fullmatch(line):
        escaped, name, digest = found.groups()
        return next(_entry(name, digest, escaped), None)
    return None


def _entry(name: bytes, digest: bytes, escaped: bytes) -> Iterator[Entry]:
    """The entry, or none where the name holds an escape that means nothing."""
    if not escaped:
        yield Entry(name, digest.decode().lower())
    elif all(escape in ESCAPED for escape in ESCAPE.findall(name)):
        yield Entry(ESCAPE.sub(lambda escape: ESCAPED[escape[1]], name), digest.decode().lower())
