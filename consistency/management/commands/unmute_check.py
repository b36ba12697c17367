"""End the mute of a check on the command line."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from consistency.arguments import argument
from consistency.legible import harmless
from consistency.management.ending import put
from consistency.management.shared import USAGE, asking, told
from consistency.management.usage import BriefCommand
from consistency.memory.silence import MEMORY, unmute
from consistency.selection import known


class Command(BriefCommand):
    help = "Let a muted check decide statuses and exit codes again. A check that was removed can be unmuted too."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Any name: history outlives code."""
        alias = argument(lambda text: known("database", text, list(connections)))
        parser.add_argument("check", metavar="CHECK", help="its name")
        parser.add_argument(
            "--database", default=MEMORY, metavar="ALIAS", type=alias, help="of which database (default)"
        )

    def handle(self, **options: Any) -> None:
        """End it, or say that there is none."""
        check = harmless(options["check"])
        with told(self.stdout):
            with asking():
                ended = unmute(options["check"], database=options["database"])
            if not ended:
                raise CommandError(f"{check} is not muted on {options['database']}.", returncode=USAGE)
            put(self.stdout, f"{check} is heard again.\n")
