"""Digests are computed once, and again after a change or after a day."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from health.probes import checksums
from health.probes.checksums import Digests


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with one entry per file read."""
    made: list[int] = []
    whole = hashlib.file_digest

    def counted(*arguments: object) -> object:
        made.append(1)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("health.probes.checksums.hashlib.file_digest", counted)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_bytes(b"one")
    return tmp_path / "script.py"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_unchanged_file_is_read_once(path: Path, reads: list[int]) -> None:
    known = Digests()
    assert {known.of(os.fsencode(path)) for _ in range(3)} == {digest(b"one")}
    assert len(reads) == 1


def test_a_changed_file_is_read_again(path: Path, reads: list[int]) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    path.write_bytes(b"three")
    assert known.of(os.fsencode(path)) == digest(b"three")


def test_content_changed_behind_a_restored_time_is_noticed(path: Path, reads: list[int]) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known.of(os.fsencode(path)) == digest(b"two")


def test_a_replaced_file_is_noticed(path: Path, reads: list[int]) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert known.of(os.fsencode(path)) == digest(b"two")


def test_a_file_is_read_again_after_a_day(path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    now = time.monotonic()
    monkeypatch.setattr("health.probes.checksums.time.monotonic", lambda: now + checksums.MAX_AGE + 1)
    known.of(os.fsencode(path))
    assert len(reads) == 2


def test_a_missing_file_has_none(path: Path, reads: list[int]) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    path.unlink()
    assert known.of(os.fsencode(path)) is None


def test_every_descriptor_is_closed(path: Path, reads: list[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    known = Digests()
    for name in (path, path.parent, path / "nowhere"):
        known.of(os.fsencode(name))
        checksums.verify(name, known)
    assert len(os.listdir("/proc/self/fd")) == before
