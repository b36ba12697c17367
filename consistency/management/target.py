"""Where a command writes: standard output, or a file that appears whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
