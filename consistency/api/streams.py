"""Stream every finding as NDJSON or CSV."""

from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from threading import BoundedSemaphore
from typing import ClassVar, Final

from django.db import OperationalError
from rest_framework.renderers import BaseRenderer

from consistency.api.errors import Refusal
from consistency.history.scanning import open_pass
from consistency.registry import Check
from consistency.scan.formats import StreamFormat
from consistency.scan.passes import shown_rows

STREAM_TIMEOUT: Final = 300.0
READ_TIMEOUT: Final = 30.0
"""Seconds that a client may take to read one piece. PostgreSQL then ends the snapshot."""
MOST: Final = 4
"""Streams per process. Each holds a connection and a snapshot of PostgreSQL."""


class NDJSONRenderer(BaseRenderer):
    """Media type for the negotiation. The view writes the stream itself."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class CSVRenderer(BaseRenderer):
    """Media type for the negotiation. The view writes the stream itself."""

    media_type = "text/csv"
    format = "csv"


class FindingStream:
    """Body of a streamed response.

    The first chunk is read at once, so that an outage raises OperationalError before the first byte. A stream beyond
    MOST raises Refusal. Closing the response ends the scan.
    """

    _places: ClassVar = BoundedSemaphore(MOST)

    def __init__(self, checks: Sequence[Check], limit: int | None, stream_format: StreamFormat) -> None:
        if not self._places.acquire(blocking=False):
            raise Refusal(503, f"{MOST} streams of findings are under way. Try again later.", READ_TIMEOUT)
        try:
            self._engine = open_pass(checks, limit=limit, timeout=STREAM_TIMEOUT, idle_timeout=READ_TIMEOUT)
        except BaseException:
            self._places.release()
            raise
        self._is_closed = False
        self._pieces = self._write(stream_format)
        self._head = next(self._pieces)

    def __iter__(self) -> Iterator[str]:
        for piece in filter(None, chain([self._head], self._pieces)):
            if self._is_closed:
                self._pieces.close()
                return
            yield piece

    def close(self) -> None:
        """End the scan. If another thread waits for the next piece, end the query; that thread ends the scan."""
        self._is_closed = True
        try:
            self._pieces.close()
        except ValueError:  # the generator runs. Django calls close() only once
            self._engine.stop("the client has gone")

    def _write(self, stream_format: StreamFormat) -> Generator[str, None, None]:
        chunks = iter(self._engine)
        try:
            first = next(chunks, None)
            if unreachable := self._engine.report.unreachable:
                raise OperationalError(unreachable)
            yield stream_format.head()
            for check, rows in shown_rows(chain([first] if first else [], chunks), self._engine.limit):
                yield stream_format.rows(check, rows)
            yield stream_format.ending(self._engine.report, {})
        finally:
            chunks.close()
            self._places.release()
