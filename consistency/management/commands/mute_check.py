"""Mute a check on the command line: for how long and why are mandatory, who is the OS user."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from common.arguments import parse_duration
from common.text import printable
from common.times import format_instant
from consistency.history.formats import lasting
from consistency.history.names import to_mute
from consistency.history.recorder import os_user
from consistency.history.silence import MEMORY, mute
from consistency.management.ending import put
from consistency.management.shared import asking, told
from consistency.management.usage import BriefCommand
from consistency.models.history import Mute


class Command(BriefCommand):
    help = (
        "Agree that a check decides no status and no exit code for a while. Ends at its time and, unless sticky, when "
        "the count rises above what was muted or the check is clean. What could not run is never muted."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Everything arrives converted."""
        add = parser.add_argument
        add("check", metavar="CHECK", help="its name")
        add(
            "--for",
            dest="length",
            required=True,
            metavar="TIME",
            type=parse_duration,
            help="how long: 90m, 12h, 7d, 2w; at most 365d",
        )
        add("--reason", required=True, help="why; everybody who looks will read it")
        add("--sticky", action="store_true", help="hold when the count rises, and when the check is clean")
        add("--database", default=MEMORY, metavar="ALIAS", help="of which database (default)")

    def handle(self, **options: Any) -> None:
        """Mute it, and say until when."""
        with told(self.stdout):
            with asking():
                to_mute(options["check"], options["database"])
                muted = mute(
                    options["check"],
                    until=timezone.now() + options["length"],
                    by=os_user(),
                    reason=options["reason"],
                    sticky=options["sticky"],
                    database=options["database"],
                )
            put(self.stdout, _told(muted))


def _told(muted: Mute) -> str:
    return (
        f"{muted.check_name} is muted by {printable(muted.by)} until {format_instant(muted.until)}, {lasting(muted)}.\n"
    )
