"""Streams over REST: a few at a time per process, and a client that goes ends the scan."""

import threading

import pytest
from django.db import connection
from django.db.models import Case, Func, QuerySet, When

from consistency.api import streams
from consistency.api.errors import Refusal
from consistency.api.streams import FindingStream
from consistency.models import File
from consistency.registry import CHECKS, Check
from consistency.scan.engine import CHUNK_SIZE
from consistency.scan.formats import STREAM_FORMATS
from tests.consistency.conftest import Define
from tests.health.conftest import eventually

pytestmark = pytest.mark.usefixtures("transactional_db")


def many_stale(number: int) -> None:
    File.objects.bulk_create(File(file_uuid=f"{n:08}", file_name="x", status="processing") for n in range(number))


def open_stream(*checks: Check) -> FindingStream:
    return FindingStream(checks or [CHECKS["stale_processing"]], None, STREAM_FORMATS["ndjson"])


def test_a_stream_too_many_is_refused_until_another_is_closed() -> None:
    many_stale(2 * CHUNK_SIZE)
    first, *others = [open_stream() for _ in range(streams.MOST)]
    with pytest.raises(Refusal):
        open_stream()
    first.close()
    for stream in [open_stream(), *others]:
        stream.close()
    all_places_are_free()


def all_places_are_free() -> None:
    for stream in [open_stream() for _ in range(streams.MOST)]:
        stream.close()


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


def test_a_stream_that_fails_at_the_start_frees_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for failing in ("open_pass", "shown_rows"):
        with monkeypatch.context() as patch:
            patch.setattr(streams, failing, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                list(open_stream())
    all_places_are_free()


def test_closing_a_stream_ends_the_query_that_another_thread_waits_for(define: Define) -> None:
    """A front closes the stream when the client goes, while a thread waits for the next piece."""

    def slow() -> QuerySet[File]:
        """Sleeps for ten minutes at the second row"""
        sleep = Func(Case(When(file_uuid="00000000", then=0), default=600), function="pg_sleep")
        return File.objects.annotate(slept=sleep).exclude(slept=None)

    many_stale(2)
    stream = open_stream(CHECKS["stale_processing"], define("slow", slow))
    pieces = iter(stream)
    reader = threading.Thread(target=lambda: list(pieces))
    reader.start()
    assert eventually(sleeping, 60)
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    assert stream._engine.connection.connection is None
    assert eventually(lambda: not sleeping(), 60)
    all_places_are_free()


def sleeping() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"
        )
        found: bool = cursor.fetchone()[0]
    return found


def test_a_stream_that_is_closed_while_a_piece_is_made_ends_with_the_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    many_stale(3 * CHUNK_SIZE)
    stream = open_stream()
    rows = type(STREAM_FORMATS["ndjson"]).rows

    def closed_meanwhile(self: object, *arguments: object) -> str:
        stream.close()  # as another thread does
        return rows(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(STREAM_FORMATS["ndjson"]), "rows", closed_meanwhile)
    monkeypatch.setattr(stream._engine, "stop", lambda reason: None)
    assert list(stream) == []  # NDJSON begins with rows
    assert stream._engine.connection.connection is None
    monkeypatch.undo()
    all_places_are_free()
