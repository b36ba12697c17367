"""End the mute of a check on the command line."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from consistency.history import names
from consistency.history.silence import MEMORY, unmute
from consistency.management.ending import put
from consistency.management.shared import USAGE, asking, told
from consistency.management.usage import BriefCommand


class Command(BriefCommand):
    help = (
        "Let a muted check decide statuses and exit codes again. A check that was removed (retired) can be unmuted too."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Any name: history outlives code."""
        parser.add_argument("check", metavar="CHECK", help="its name")
        parser.add_argument(
            "--database", default=MEMORY, metavar="ALIAS", help="of which database, retired ones too (default)"
        )

    def handle(self, **options: Any) -> None:
        """End it, or say that there is none."""
        with told(self.stdout):
            with asking():
                check, database = names.check(options["check"]), names.database(options["database"])
                ended = unmute(check, database=database)
            if not ended:
                raise CommandError(f"{check} is not muted on {database}.", returncode=USAGE)
            put(self.stdout, f"{check} is heard again.\n")
