"""Stream every finding as NDJSON or CSV, to one client at a time."""

from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from threading import Lock
from time import monotonic
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
"""Seconds that a client may take to read one piece. After that time another stream may take the place."""


class NDJSONRenderer(BaseRenderer):
    """Media type for the negotiation. The view writes the stream itself."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class CSVRenderer(BaseRenderer):
    """Media type for the negotiation. The view writes the stream itself."""

    media_type = "text/csv"
    format = "csv"


class FindingStream:
    """Body of a streamed response. One stream runs per process, because each stream holds a thread and a connection.

    The first chunk is read at once, so that an outage raises OperationalError before the first byte. Another stream
    raises Refusal. Closing the response ends the scan.
    """

    _lock: ClassVar = Lock()
    _running: ClassVar["FindingStream | None"] = None

    def __init__(self, checks: Sequence[Check], limit: int | None, stream_format: StreamFormat) -> None:
        self._waits_since: float | None = None
        self._take_place()
        try:
            self._engine = open_pass(checks, limit=limit, timeout=STREAM_TIMEOUT, idle_timeout=READ_TIMEOUT)
            self._pieces = self._write(stream_format)
            self._head = next(self._pieces)
        except BaseException:
            self._leave_place()
            raise

    def __iter__(self) -> Iterator[str]:
        for piece in filter(None, chain([self._head], self._pieces)):
            self._waits_since = monotonic()
            yield piece
            self._waits_since = None

    def close(self) -> None:
        """End the scan, and let another stream begin."""
        self._pieces.close()

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
            self._leave_place()

    def _take_place(self) -> None:
        with self._lock:
            if (running := FindingStream._running) is not None:
                waits_since = running._waits_since
                if waits_since is None or monotonic() - waits_since <= READ_TIMEOUT:
                    raise Refusal(503, "Another stream of findings is under way. Try again later.", READ_TIMEOUT)
                running._engine.stop("its client stopped reading")
            FindingStream._running = self

    def _leave_place(self) -> None:
        with self._lock:
            if FindingStream._running is self:
                FindingStream._running = None
