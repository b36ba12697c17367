"""Render tables, lists and reports of commands, and write files whole or not at all."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from json import dumps
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column, Table
from rich.text import Text

from common.arguments import InvalidInputError
from common.text import printable

WIDTH_WITHOUT_TERMINAL: Final = 100_000
"""Columns for pipes and files: no line is ever folded."""
MAX_PADDING: Final = 60
MAX_CELL: Final = 4096
"""Characters. Names of uploads may have megabytes."""
MEMORY_LIMIT: Final = 1_000_000
"""Bytes of a held report in memory. A longer report goes to a temporary file."""


class _Table(Table):
    """A table for pipes too, where rich would pad every row to the longest cell."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.width != WIDTH_WITHOUT_TERMINAL:
            yield from super().__rich_console__(console, options)
            return
        headings = [[Text(str(column.header), "bold")] if self.show_header else [] for column in self.columns]
        columns = [
            _padded([*heading, *column.cells], column) for heading, column in zip(headings, self.columns, strict=True)
        ]
        yield from map(Text("  ").join, zip(*columns, strict=True))


def _padded(cells: Iterable[RenderableType], column: Column) -> list[Text]:
    texts = [cell if isinstance(cell, Text) else Text(str(cell)) for cell in cells]
    width = min(MAX_PADDING, max(text.cell_len for text in texts))
    for text in texts:
        pad = text.pad_left if column.justify == "right" else text.pad_right
        pad(max(0, width - text.cell_len))
    return texts


def new_table(*headings: str, numbers: Iterable[str] = ()) -> Table:
    """Return a table without borders. Columns named in `numbers` are aligned to the right."""
    table = _Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    return table


def render(*parts: RenderableType, terminal: bool = False, colour: bool = False) -> str:
    """Return the parts as text, folded to the terminal's width if `terminal`, with escapes if `colour`."""
    text = StringIO()
    console = Console(
        file=text,
        width=shutil.get_terminal_size().columns if terminal else WIDTH_WITHOUT_TERMINAL,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in parts:
        console.print(part, soft_wrap=not terminal and isinstance(part, Text))
    return "".join(line.rstrip(" ") + "\n" for line in text.getvalue().splitlines())


def has_colour(out: Any, *, no_color: bool, force_color: bool = False, **_: Any) -> bool:
    """Return whether a command writes colours to `out`, given Django's colour options and NO_COLOR."""
    return force_color or (out.isatty() and not no_color and "NO_COLOR" not in os.environ)


def table_text(columns: Iterable[str], rows: Iterable[Iterable[object]], *, terminal: bool = False) -> str:
    """Return a table of plain values as text. None is empty; control characters are escaped."""
    table = new_table(*columns)
    for row in rows:
        table.add_row(*(cell_text("" if cell is None else str(cell)) for cell in row))
    return render(table, terminal=terminal)


def cell_text(value: str) -> str:
    """Return the printable text of a cell, cut at MAX_CELL characters."""
    text = printable(value[: MAX_CELL + 1])
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def terminal_lines(text: str) -> str:
    """Return CSV or JSON with every control character as an escape, for a terminal. Line ends stay."""
    return "\n".join(map(printable, text.replace("\r\n", "\n").split("\n")))


def json_list(name: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the pieces of `{"name": [...]}`, with one item per line."""
    yield f'{{"{name}": ['
    for position, item in enumerate(items):
        yield (",\n" if position else "\n") + dumps(item)
    yield "\n]}\n"


def held_report() -> IO[str]:
    """Return a temporary file for a report that is printed later. A long report needs disk space."""
    return tempfile.SpooledTemporaryFile(MEMORY_LIMIT, "w+", encoding="utf-8", errors="surrogatepass", newline="")


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Open a text file that replaces `path` at the end of the block, or is removed after an exception.

    An existing file keeps its mode, and a link stays a link. Raises InvalidInputError if `path` cannot be written.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        if target.exists() and not target.is_file():
            raise InvalidInputError(f"cannot write {path}: not a regular file. Name a file, or omit --output.")
        file = open(temporary, "x", encoding="utf-8", newline="")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {path}: {error.strerror}. Name a file in a folder that exists and is writable."
        ) from error
    try:
        with file:
            yield file
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
