"""The scans that are remembered, passes too, for people and for pipes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consistency.arguments import argument, whole_number
from consistency.formats import instant
from consistency.memory_command import json_list, table_text, told
from consistency.memory_formats import scan_dict
from consistency.memory_models import Scan
from consistency.silence import MEMORY


class Command(BaseCommand):
    help = "Show the scans that were recorded, newest first, with what was new, returned and resolved in each."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, how many, and in what form."""
        add = parser.add_argument
        add("--database", metavar="ALIAS", help="of this database only")
        add("--limit", default=20, metavar="N", type=argument(whole_number), help="at most so many (20)")
        add("--format", default="text", choices=("text", "json"))

    def handle(self, **options: Any) -> None:
        """Show them."""
        with told():
            found = Scan.objects.using(MEMORY).order_by("-id").prefetch_related("checks")
            if options["database"]:
                found = found.filter(database=options["database"])
            scans = list(found[: options["limit"]])
        if options["format"] == "json":
            self.stdout.write("".join(json_list("scans", map(scan_dict, scans))), ending="")
        else:
            self.stdout.write(table_text(COLUMNS, map(_row, scans)), ending="")


COLUMNS = ("id", "recorded", "database", "by", "status", "complete", "ms", "new", "returned", "resolved", "ongoing")


def _row(scan: Scan) -> tuple[object, ...]:
    return (
        scan.pk,
        instant(scan.recorded_at),
        scan.database,
        f"{scan.trigger}: {scan.actor}",
        scan.status,
        "yes" if scan.complete else "no",
        scan.duration_ms,
        scan.new,
        scan.returned,
        scan.resolved,
        scan.ongoing,
    )
