"""A call that hangs costs its caller no more than the patience, and one thread per key."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from django.db import connection, connections

from common.bounded import StuckError, within
from common.postgres.deadline import deadline, remaining
from config.demo.process import until

PATIENT = 60.0


@pytest.fixture
def hang(tmp_path: Path) -> Iterator[Callable[[], bytes]]:
    """Yield a call that hangs until the test writes to `fifo`, as a disk hangs."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    yield path.read_bytes
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_the_result_is_that_of_the_call() -> None:
    assert within(PATIENT, "key", lambda: 7) == 7


@pytest.mark.parametrize("error", [ValueError, TimeoutError])
def test_an_error_of_the_call_is_raised(error: type[Exception]) -> None:
    def fail() -> None:
        raise error("mine")

    with pytest.raises(error, match="mine"):
        within(PATIENT, "key", fail)


def test_fifty_calls_at_a_hung_disk_leave_one_thread_and_the_later_calls_fail_at_once(
    tmp_path: Path, hang: Callable[[], bytes], left_behind: Callable[[], int]
) -> None:
    begin = monotonic()
    for _ in range(50):
        with pytest.raises(StuckError):
            within(0.5, "disk", hang)
    assert left_behind() == 1
    assert monotonic() - begin < 20  # and not 25
    assert within(PATIENT, "another disk", lambda: 7) == 7
    (tmp_path / "fifo").write_bytes(b"back")
    assert any(left_behind() == 0 for _ in until(20))
    assert within(PATIENT, "disk", lambda: 7) == 7


def test_callers_at_the_same_time_leave_one_thread(hang: Callable[[], bytes], left_behind: Callable[[], int]) -> None:
    errors: list[Exception] = []

    def call() -> None:
        try:
            within(0.5, "disk", hang)
        except StuckError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(errors), left_behind()) == (8, 1)


def test_the_call_has_the_deadline_of_the_caller() -> None:
    with deadline(10):
        left = within(PATIENT, "key", remaining)
    assert left is not None
    assert 0 < left <= 10


@pytest.mark.django_db
def test_the_connections_of_the_call_are_its_own_and_are_closed() -> None:
    def query() -> object:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        return connections["default"]

    used = within(PATIENT, "key", query)
    within(PATIENT, "key", lambda: None)  # begins after the end of the first call
    assert used is not connections["default"]
    assert used.connection is None  # type: ignore[attr-defined]
    assert connection.is_usable()


def test_a_thread_that_cannot_start_blocks_no_later_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            within(PATIENT, "key", lambda: 7)
    assert within(PATIENT, "key", lambda: 7) == 7
