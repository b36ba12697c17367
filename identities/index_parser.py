"""Parse the index of identities in a process of its own, because json holds the GIL for a second.

index.py runs this file as a script, so this file imports only the standard library.
"""

import json
import os
import resource
import signal
import sys
from typing import Any, Final

TIMEOUT: Final = 120
"""Seconds until the process ends: the disk may hang."""
MEMORY_FACTOR: Final = 10
"""Bytes of memory per byte of the index, beside MEMORY_BASE. A sensible index needs up to nine."""
MEMORY_BASE: Final = 100_000_000


def uuids_of(index: Any) -> list[str]:
    """Return the uuids of an index: the keys of an object, or `uuid` of each object in a list."""
    uuids = list(index) if isinstance(index, dict) else [entry["uuid"] for entry in index]
    if isinstance(index, str) or not all(isinstance(uuid, str) and "\n" not in uuid for uuid in uuids):
        raise ValueError("the index is neither an object by uuid nor a list of objects with uuid")
    return uuids


def main(limit: int) -> None:
    """Print the uuids of the index on standard input, which has at most `limit` bytes."""
    os.nice(19)  # the server's requests go first
    signal.alarm(TIMEOUT)
    memory = MEMORY_BASE + MEMORY_FACTOR * limit
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    content = sys.stdin.buffer.read(limit + 1)
    if len(content) > limit:
        sys.exit(1)
    with open(1, "wb", closefd=False) as output:
        output.writelines(f"{uuid}\n".encode("utf-8", "surrogatepass") for uuid in uuids_of(json.loads(content)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
