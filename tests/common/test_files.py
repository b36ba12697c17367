"""Only regular files are read, and only up to the limit."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from common.files import FileTooLargeError, LimitedFile

LIMIT = 1_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_file_up_to_the_limit_is_read_whole(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)
    assert LimitedFile(path, LIMIT).content() == b"x" * size


def test_a_larger_file_is_refused_before_it_is_read(path: Path) -> None:
    path.touch()
    os.truncate(path, 2_000_001)
    with pytest.raises(FileTooLargeError) as refused:
        LimitedFile(path, LIMIT)
    assert refused.value.megabytes == 3


def test_a_file_that_grows_is_refused_while_it_is_read(path: Path) -> None:
    path.write_bytes(b"x" * LIMIT)
    file = LimitedFile(path, LIMIT)
    os.truncate(path, 1_000_000_000)
    with pytest.raises(FileTooLargeError):
        file.content()
    assert file.closed


def test_a_file_system_that_reports_no_size_is_refused_while_the_file_is_read() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(FileTooLargeError):
        LimitedFile("/proc/self/maps", 100).content()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    "create",
    [os.mkfifo, Path.mkdir, _socket, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)],
    ids=["FIFO", "folder", "socket", "device", "circle"],
)
def test_no_other_kind_of_file_is_opened(path: Path, create: Callable[[Path], None]) -> None:
    create(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):  # noqa: PT011 - any
        LimitedFile(path, LIMIT)
    assert len(os.listdir("/proc/self/fd")) == before
