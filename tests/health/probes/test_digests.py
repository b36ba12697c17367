"""Digests are computed once, and again after a change, after a day, or for a file that is too new."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from health.probes import digests
from health.probes.digests import Digests


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with one entry per file read."""
    made: list[int] = []
    whole = hashlib.file_digest

    def counted(*arguments: object) -> object:
        made.append(1)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("health.probes.digests.hashlib.file_digest", counted)
    return made


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file old enough for the cache."""
    monkeypatch.setattr(digests, "SETTLE_TIME", -1.0)
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
    monkeypatch.setattr("health.probes.digests.time.monotonic", lambda: now + digests.MAX_AGE + 1)
    known.of(os.fsencode(path))
    assert len(reads) == 2


def test_the_digest_of_a_new_file_is_not_cached(path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "SETTLE_TIME", 3600.0)
    known = Digests()
    known.of(os.fsencode(path))
    known.of(os.fsencode(path))
    assert len(reads) == 2


def test_a_file_that_is_gone_has_none_and_is_forgotten(path: Path, reads: list[int]) -> None:
    known = Digests()
    known.of(os.fsencode(path))
    path.unlink()
    assert known.of(os.fsencode(path)) is None
    assert not known._cache


def test_every_descriptor_is_closed(path: Path, reads: list[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    known = Digests()
    for name in (path, path.parent, path / "nowhere"):
        known.of(os.fsencode(name))
        digests.read_regular(os.fsencode(name))
    assert len(os.listdir("/proc/self/fd")) == before
