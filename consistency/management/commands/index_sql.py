"""`manage.py index_sql`: print the SQL of the missing indexes, for the owner of the media tables."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections, models

from common.choices import validate_choice
from common.commands import ContinuityCommand
from common.errors import NO_MEDIA_TABLE
from consistency.indexes import find_relations, missing_indexes
from consistency.models import File, MonitorJob


class Command(ContinuityCommand):
    help = (
        "Print the SQL of the missing or invalid indexes of files and monitor_jobs. The owner of the tables runs the "
        "statements, each in a transaction of its own. If a statement fails, print the SQL again."
    )
    epilog = """\
example:
  index_sql > indexes.sql && psql "$OWNER_URL" -v ON_ERROR_STOP=1 -f indexes.sql
"""

    def add_arguments(self, parser: CommandParser) -> None:
        alias = partial(validate_choice, "database", allowed=list(connections))
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", type=alias, help="database of the tables (default)"
        )

    def run(self, *args: Any, **options: Any) -> None:
        for model in (File, MonitorJob):
            self.stdout.write("\n".join(_lines(options["database"], model)))


def _lines(alias: str, model: type[models.Model]) -> Iterator[str]:
    relations = find_relations(alias, model)
    missing = missing_indexes(alias, model, relations)
    if not relations:
        yield f"-- {NO_MEDIA_TABLE.format(model._meta.db_table)}."
    elif not relations[0].indexable:
        yield f"-- {relations[0].name} is a view or a foreign table. Index the tables below instead."
    elif not missing:
        yield f"-- {relations[0].name} has every index."
    for statements in missing.values():
        yield from statements
