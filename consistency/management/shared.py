"""What the commands that read or write the memory share: one line for people when it cannot be had, and exit codes."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from json import dumps
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connections
from django.http import QueryDict
from rich.table import Table

from common.choices import UnknownChoiceError
from common.text import printable
from consistency.api.query import ParameterError
from consistency.history.silence import MEMORY, SilenceError
from consistency.history.writing import recording_problem
from consistency.management.console import render
from consistency.management.ending import COULD_NOT, ending_well
from consistency.scan.transaction import patient

USAGE: Final = 2
SECONDS: Final = 300.0
"""For one command; whoever pages through all rows has time to read."""
LOCKS: Final = 5.0


@contextmanager
def told(out: Any) -> Iterator[None]:
    """Around all that a command does: exit 2 with one line for what is refused, 3 for a memory that cannot be had."""
    try:
        with ending_well(out):
            yield
    except (SilenceError, UnknownChoiceError, ParameterError) as problem:
        raise CommandError(str(problem), returncode=USAGE) from None
    except DatabaseError as error:
        raise CommandError(f"{recording_problem(error)}.", returncode=COULD_NOT) from None


def asking() -> AbstractContextManager[None]:
    """A transaction of the memory, in which nobody who holds its tables is waited for without bound."""
    return patient(connections[MEMORY], SECONDS, locks=LOCKS)


def as_query(options: Mapping[str, Any], names: Iterable[str]) -> QueryDict:
    """Those options (lists of words) that were given, as REST's query has them: one reading of filters for both."""
    query = QueryDict(mutable=True)
    for name in names:
        if options[name]:
            query.setlist(name, options[name])
    return query


def json_list(name: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """`{"name": [...]}`, one item a line, as the items come."""
    yield f'{{"{name}": ['
    for position, item in enumerate(items):
        yield (",\n" if position else "\n") + dumps(item)
    yield "\n]}\n"


def table_text(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table for people; hostile names are only text."""
    table = Table(*columns, box=None, pad_edge=False, show_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(printable("" if cell is None else str(cell)) for cell in row))
    return render([table], terminal=sys.stdout.isatty(), colour=False)
