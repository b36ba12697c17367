"""Read files of the platform: regular files only, without waiting, and at most a number of bytes."""

import os
import stat
from io import BufferedReader, FileIO
from math import ceil
from typing import Any, Final

MEGABYTE: Final = 1_000_000
BLOCK_SIZE: Final = 65_536


class FileTooLargeError(OSError):
    """The file has more bytes than the limit. `megabytes` is the size, or the part that was read."""

    def __init__(self, size: int) -> None:
        self.megabytes = ceil(size / MEGABYTE)
        super().__init__(f"the file has {self.megabytes:,} MB")


class LimitedFile(FileIO):
    """A regular file, open to read at most `limit` bytes. `status` is the result of fstat.

    Opening raises OSError for a folder, a FIFO or a device, and FileTooLargeError for a larger file. `readinto` raises
    FileTooLargeError beyond the limit, because a file may grow, and a file system may report a wrong size.
    """

    def __init__(self, path: Any, limit: int) -> None:
        # Without O_NONBLOCK the open of a FIFO would wait for a writer.
        super().__init__(path, "r", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
        self._limit, self._read = limit, 0
        try:
            self.status = os.fstat(self.fileno())
            if not stat.S_ISREG(self.status.st_mode):
                raise OSError("not a regular file")
            self._refuse_more_than_limit(self.status.st_size)
        except OSError:
            self.close()
            raise

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self._read += count
        self._refuse_more_than_limit(self._read)
        return count

    def content(self) -> bytes:
        """Return all bytes, and close the file."""
        with BufferedReader(self, BLOCK_SIZE) as reader:
            return reader.read(self._limit + 1)

    def _refuse_more_than_limit(self, size: int) -> None:
        if size > self._limit:
            raise FileTooLargeError(size)
