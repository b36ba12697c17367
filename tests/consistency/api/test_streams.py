"""Streams over REST: one at a time per process, and a client that does not read gives way."""

import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from consistency.api import streams
from consistency.api.errors import Refusal
from consistency.api.streams import FindingStream
from consistency.models import File
from consistency.registry import CHECKS, Check, Finding
from consistency.scan.engine import CHUNK_SIZE
from consistency.scan.formats import STREAM_FORMATS
from tests.consistency.conftest import Define

pytestmark = pytest.mark.usefixtures("transactional_db")


def many_stale(number: int) -> None:
    File.objects.bulk_create(File(file_uuid=f"{n:08}", file_name="x", status="processing") for n in range(number))


def open_stream(*checks: Check) -> FindingStream:
    return FindingStream(checks or [CHECKS["stale_processing"]], None, STREAM_FORMATS["ndjson"])


def last_line(pieces: Iterator[str]) -> Any:
    return json.loads("".join(pieces).splitlines()[-1])


def test_a_second_stream_is_refused_until_the_first_is_closed() -> None:
    many_stale(2 * CHUNK_SIZE)
    first = open_stream()
    with pytest.raises(Refusal):
        open_stream()
    first.close()
    open_stream().close()


def test_a_stream_that_is_read_to_its_end_frees_its_place_and_its_connection() -> None:
    first = open_stream()
    list(first)
    assert first._engine.connection.connection is None
    open_stream().close()


@pytest.mark.parametrize("pieces_read", [0, 1])
def test_a_stream_that_is_closed_early_frees_its_place_and_its_connection(pieces_read: int) -> None:
    many_stale(3 * CHUNK_SIZE)
    first = open_stream()
    pieces = iter(first)
    for _ in range(pieces_read):
        next(pieces)
    first.close()
    assert first._engine.connection.connection is None
    open_stream().close()


def test_a_client_that_does_not_read_loses_its_place_and_the_last_line_says_so() -> None:
    many_stale(4 * CHUNK_SIZE)
    first = open_stream()
    pieces = iter(first)
    next(pieces)
    first._waits_since = monotonic() - streams.READ_TIMEOUT - 1
    second = open_stream()
    report = last_line(pieces)
    assert (report["complete"], report["checks"][0]["error"]) == (False, "its client stopped reading")
    with pytest.raises(Refusal):
        open_stream()
    assert last_line(iter(second))["checks"][0]["count"] == 4 * CHUNK_SIZE
    open_stream().close()


def test_a_stream_that_works_keeps_its_place_however_long_that_takes(
    monkeypatch: pytest.MonkeyPatch, define: Define
) -> None:
    refused: list[bool] = []

    def works(using: str) -> Iterator[Finding]:
        """Works for long"""
        try:
            open_stream().close()
        except Refusal:
            refused.append(True)
        yield from ()

    many_stale(1)
    stream = open_stream(CHECKS["stale_processing"], define("works", works, detail=None))
    monkeypatch.setattr(streams, "READ_TIMEOUT", 0.0)
    list(stream)
    assert refused == [True]
