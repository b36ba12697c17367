"""`manage.py unmute_check`: end the mute of a check."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from common.commands import USAGE, ContinuityCommand
from consistency.history.queries import validate_check, validate_database
from consistency.history.scanning import os_user
from consistency.history.suppression import unmute
from consistency.management.shared import history_transaction


class Command(ContinuityCommand):
    help = "End the mute of a check. A retired check can be unmuted too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("check", metavar="CHECK", help="name of the check")
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help="scanned database (default)",
        )

    def run(self, *args: Any, **options: Any) -> None:
        with history_transaction():
            check, database = validate_check(options["check"]), validate_database(options["database"])
            ended = unmute(check, database=database, by=os_user())
        if not ended:
            raise CommandError(f"{check} is not muted on {database}.", returncode=USAGE)
        self.stdout.write(f"{check} is unmuted.")
