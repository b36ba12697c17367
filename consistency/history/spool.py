"""The findings of a scan, on disk between its snapshot and their recording: in memory a million would be a gigabyte."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Final

from consistency.registry import Check
from consistency.scan.findings import Row
from consistency.scan.report import Report
from consistency.scan.sight import Sight, key

COLUMNS: Final = ("check_name", "severity", "object_type", "object_id", "detail", "file_uuid", "file_name", "status")
IN_MEMORY: Final = 1_000_000
BLOCK: Final = 65_536
# They end a field or a row of COPY.
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Spool(Sight):
    """Keeps every finding that another sight lets pass, as lines of PostgreSQL's COPY; `close()` removes them."""

    def __init__(self, then: Sight) -> None:
        self.then = then
        self._full: str | None = None
        self._files: dict[Check, IO[bytes]] = {}

    @property
    def problem(self) -> str | None:
        """Why not every finding is kept, among other things: then nothing can be recorded; the scan goes on."""
        return self._full or self.then.problem

    def wants(self, check: Check) -> bool:
        return True

    def start(self, check: Check) -> None:
        self._forget(check)
        self._files[check] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed in _forget
        self.then.start(check)

    def sift(self, check: Check, rows: list[Row]) -> list[Row]:
        kept = self.then.sift(check, rows)
        if not self.problem:
            with self._room():
                lines = (_line(check, row, self.then.silent(check, row)) for row in kept)
                self._files[check].write("".join(lines).encode())
        return kept

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Not the error's own words: they may name folders.
            self._full = f"its findings could not be kept in a temporary file ({os.strerror(error.errno or 0)})"
            self.close()

    def silent(self, check: Check, row: Row) -> bool:
        return self.then.silent(check, row)

    def shown(self, check: Check, rows: list[Row]) -> list[Row]:
        return self.then.shown(check, rows)

    def report(self, report: Report) -> Report:
        # What is still held back has to find its room while there is somebody to hear that it does not.
        with self._room():
            for file in self._files.values():
                file.flush()
        return self.then.report(report)

    def blocks(self, check: Check) -> Iterator[bytes]:
        """What was kept of one check, in pieces."""
        file = self._files[check]
        file.seek(0)
        return iter(partial(file.read, BLOCK), b"")

    def close(self) -> None:
        """Remove what was kept."""
        for check in list(self._files):
            self._forget(check)

    def _forget(self, check: Check) -> None:
        if check in self._files:
            # What does not fit any more is of no use.
            with suppress(OSError):
                self._files.pop(check).close()


def _line(check: Check, row: Row, silent: bool) -> str:
    object_type, object_id = key(row)
    cells = (
        check.name,
        str(check.severity.value),
        object_type,
        object_id,
        row["detail"],
        row.get("file_uuid"),
        row.get("file_name"),
        row.get("status"),
        "t" if silent else "f",
    )
    return "\t".join("\\N" if cell is None else cell.translate(_ESCAPES) for cell in cells) + "\n"
