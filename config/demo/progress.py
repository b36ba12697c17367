"""Show the steps of the demo on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def step(title: str, total: int = 1) -> Iterator[Callable[[int], None]]:
    """Show a line on stderr while the block runs. The yielded function adds to the progress, up to `total`."""
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<54}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
        progress.update(task, completed=total)
