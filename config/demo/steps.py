"""Tells who watches a terminal what is going on; says nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Steps:
    """One line on stderr for each step, the last one alive."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def step(self, words: str, total: int = 1) -> Iterator[Callable[[int], None]]:
        """Show `words` until the block ends; it may say how much of `total` it has got through meanwhile."""
        task = self._progress.add_task(words, total=total)
        yield lambda done: self._progress.advance(task, done)
        self._progress.update(task, completed=total)
