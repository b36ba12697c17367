"""The filter of the log: repeats within a minute, transitions, and exceptions."""

import logging

import pytest
from django.db import OperationalError

from common import logs


class Records(logging.Handler):
    """Keep the records that pass the filter."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []
        self.addFilter(logs.RepeatFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)

    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.kept]


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def log(records: Records) -> logging.Logger:
    """Return a logger of this test only."""
    logger = logging.Logger("tests", logging.INFO)
    logger.addHandler(records)
    return logger


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose item is the time of the filter."""
    now = [1000.0]
    monkeypatch.setattr(logs, "monotonic", lambda: now[0])
    return now


def test_a_repeat_is_dropped_for_a_minute_and_counted(
    log: logging.Logger, records: Records, clock: list[float]
) -> None:
    for _ in range(3):
        log.warning("Redis at port %s does not answer", 6379)
    clock[0] += logs.PERIOD
    for port in (6380, 6381):  # numbers make no difference
        log.warning("Redis at port %s does not answer", port)
    log.warning("Qdrant does not answer")
    assert records.lines() == [
        "Redis at port 6379 does not answer",
        "Redis at port 6380 does not answer (2 repeats left out)",
        "Qdrant does not answer",
    ]


def test_transitions_and_information_are_never_dropped(log: logging.Logger, records: Records) -> None:
    for _ in range(2):
        log.warning("Probe redis is error", extra={"transition": True})
        log.info("Probe redis is ok again")
    assert len(records.kept) == 4


def test_an_exception_repeats_if_raised_at_the_same_place(log: logging.Logger, records: Records) -> None:
    for path in ("/a", "/b"):
        try:
            raise KeyError(path)
        except KeyError:
            log.exception("Internal Server Error: %s", path)
    try:
        raise KeyError("/a")
    except KeyError:
        log.exception("Internal Server Error: %s", "/a")
    assert records.lines() == ["Internal Server Error: /a", "Internal Server Error: /a"]


def test_an_outage_of_postgresql_has_one_line_and_a_bug_has_a_traceback(log: logging.Logger, records: Records) -> None:
    for error in (OperationalError("connection refused\nIs the server running?"), KeyError("bug")):
        try:
            raise error
        except (OperationalError, KeyError):
            log.exception("The export ended early")
    outage, bug = records.kept
    assert (outage.getMessage(), outage.exc_info) == ("The export ended early: connection refused", None)
    assert bug.exc_info
