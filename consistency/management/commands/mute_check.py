"""`manage.py mute_check`: mute a check, as the user of the operating system."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from common.arguments import parse_duration
from common.commands import ContinuityCommand
from common.text import printable
from common.times import format_instant
from consistency.history.queries import validate_mutable
from consistency.history.scanning import os_user
from consistency.history.suppression import mute, mute_condition
from consistency.management.shared import history_transaction


class Command(ContinuityCommand):
    help = (
        "Mute a check: for a time, its findings affect no status, no exit code and no notice. The mute also ends when "
        "the count rises or the check is clean, unless --sticky is given. A check that could not run is never muted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("check", metavar="CHECK", help="name of the check")
        add(
            "--for",
            dest="duration",
            required=True,
            metavar="TIME",
            type=parse_duration,
            help="duration: 90m, 12h, 7d, 2w; at most 365d",
        )
        add("--reason", required=True, help="reason, shown with every report")
        add("--sticky", action="store_true", help="keep the mute when the count rises and when the check is clean")
        add("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="scanned database (default)")

    def run(self, *args: Any, **options: Any) -> None:
        with history_transaction():
            validate_mutable(options["check"], options["database"])
            muted = mute(
                options["check"],
                until=timezone.now() + options["duration"],
                by=os_user(),
                reason=options["reason"],
                sticky=options["sticky"],
                database=options["database"],
            )
        author, end = printable(muted.by), format_instant(muted.until)
        self.stdout.write(f"{muted.check_name} is muted by {author} until {end}, {mute_condition(muted)}.")
