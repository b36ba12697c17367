"""Huge and endless files cost a process of Continuity no memory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.demo.process import ROOT

FILES = ("_index.json", "checksums.sha256", "a/identity.json", "script.py")
READ = """
import resource, sys
from pathlib import Path
from time import monotonic
from django.conf import settings
settings.configure(IDENTITIES_FILE_LIMIT=8, SCRIPTS_MANIFEST_LIMIT=16)
from health.probes import checksums
from identities.index import IdentityIndex
from identities.store import IdentityStore

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000

resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))  # spares the machine if the test fails
before, folder = peak(), Path(sys.argv[1])
try:
    print(checksums.verify(folder, checksums.Digests())["ok"])
except checksums.ChecksumError as error:
    print(error)
print(IdentityIndex().read(folder / "_index.json", limit=64, until=monotonic() + 60))
print(sorted(IdentityStore.read(folder).unreadable))
print(peak() - before)
"""


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1_500_000_000)


def reports_no_size(path: Path) -> None:
    path.symlink_to("/proc/kallsyms")


def full(path: Path) -> None:
    """Write as much as the limits allow: 16 MB of lines, and an index of 60 MB that no parser reads."""
    path.write_text("\n" * 8_000_000 if path.suffix == ".json" else f"{'a' * 64}  no\n" * 230_000)
    os.truncate(path, 60_000_000) if path.suffix == ".json" else None


@pytest.mark.parametrize(
    ("create", "manifest", "index", "unreadable"),
    [
        (endless, "False", "the index cannot be read or is malformed", "[]"),
        (
            sparse,
            "checksums.sha256 has 1,500 MB, more than SCRIPTS_MANIFEST_LIMIT (16 MB)",
            "the index has 1500 MB, more than IDENTITIES_INDEX_LIMIT (64 MB)",
            "['a']",
        ),
        (reports_no_size, None, "the index cannot be read or is malformed", "['a']"),
        (full, "False", "the index cannot be read or is malformed", "['a']"),
    ],
)
def test_memory_stays_within_100_megabytes(
    tmp_path: Path, create: Callable[[Path], None], manifest: str | None, index: str, unreadable: str
) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        create(tmp_path / name)
    process = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0] == (manifest or lines[0])
    assert lines[1:3] == [index, unreadable]
    assert int(lines[3]) < 100


def test_a_script_that_is_too_large_is_named_and_not_read(tmp_path: Path) -> None:
    sparse(tmp_path / "script.py")
    (tmp_path / "checksums.sha256").write_text(f"{'a' * 64}  script.py\n")
    process = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.stdout.splitlines()[0] == "a script has 1,500 MB, more than 1,000 MB", process.stderr
