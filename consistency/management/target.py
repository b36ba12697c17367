"""Where a command writes: standard output, or a file that appears whole or not at all."""

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, TypeAlias

IN_MEMORY: Final = 1_000_000
BLOCK: Final = 65_536
ENCODING: Final = "utf-8"
ESCAPES: Final = "surrogatepass"
"""What no encoding has, the terminal's own is asked for."""

Write: TypeAlias = Callable[[str], object]


class TargetError(Exception):
    """The file cannot be written; the text says why and what to do."""


@contextmanager
def whole_file(name: Path) -> Iterator[IO[str]]:
    """A file beside `name` that takes its place at the end, with its mode; gone if anything goes wrong before."""
    path = name.resolve()
    temporary = _beside(path)
    try:
        with temporary:
            yield temporary
            temporary.flush()
            os.fchmod(temporary.fileno(), _mode(path))
        os.replace(temporary.name, path)
    except BaseException:
        Path(temporary.name).unlink(missing_ok=True)
        raise


def _beside(path: Path) -> IO[str]:
    if path.exists() and not path.is_file():
        raise TargetError(f"cannot write {path}: it exists and is no regular file. Name a file, or leave --output out.")
    try:
        return tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline=""
        )
    except OSError as error:
        raise TargetError(
            f"cannot write {path}: {error.strerror}. Name a file in a folder that exists and that you may write to."
        ) from error


def _mode(path: Path) -> int:
    """What the file had, or what any program would give a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


class Held:
    """A report that is printed when it is whole: who reads may pause, and no snapshot and no lock waits. Beyond a
    megabyte it is held on disk; `close()` removes it.

    If the disk has no room, all that is held goes to `out`, and what follows straight there; `problem` says so.
    """

    def __init__(self, out: Write) -> None:
        self.problem: str | None = None
        self._out = out
        self._pieces: list[str] = []
        self._size = 0
        self._file: io.FileIO | None = None

    def write(self, text: str) -> None:
        """Hold it."""
        if self.problem:
            self._out(text)
            return
        self._pieces.append(text)
        self._size += len(text)
        if self._size > IN_MEMORY:
            try:
                self._to_disk()
            except OSError as error:
                self.problem = f"its report could not be kept in a temporary file ({os.strerror(error.errno or 0)})"
                self.release()

    def release(self) -> None:
        """Print all that is held, once."""
        if self._file:
            self._file.seek(0)
            with open(self._file.fileno(), encoding=ENCODING, errors=ESCAPES, newline="", closefd=False) as whole:
                for piece in iter(partial(whole.read, BLOCK), ""):
                    self._out(piece)
            self.close()
        for piece in self._pieces:
            self._out(piece)
        self._pieces = []

    def close(self) -> None:
        """Remove what is held."""
        if self._file:
            self._file.close()
            self._file = None

    def _to_disk(self) -> None:
        # Unbuffered: what is refused is still in memory, and not somewhere between.
        self._file = self._file or tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in close
        whole = self._file.tell()
        left = memoryview("".join(self._pieces).encode(ENCODING, ESCAPES))
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(whole)
            raise
        self._pieces, self._size = [], 0
