"""The scans that are remembered, passes too, for people and for pipes."""

from typing import Any

from django.core.management.base import CommandParser

from common.arguments import parse_count
from common.times import format_instant
from consistency.api.query import scans
from consistency.history.formats import scan_dict
from consistency.management.ending import put
from consistency.management.shared import as_query, asking, json_list, table_text, told
from consistency.management.usage import BriefCommand
from consistency.models.history import Scan


class Command(BriefCommand):
    help = "Show the scans that were recorded, newest first, with what was new, returned and resolved in each."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, how many, and in what form."""
        add = parser.add_argument
        for name, words in FILTERS.items():
            add(f"--{name}", action="append", default=[], metavar=name.upper(), help=words)
        add("--limit", default=20, metavar="N", type=parse_count, help="at most N (20)")
        add("--format", default="text", choices=("text", "json"), help="text (default) or json, with each check")

    def handle(self, **options: Any) -> None:
        """Show them."""
        with told(self.stdout), asking():
            filters, limit = as_query(options, FILTERS), options["limit"]
            found = list(scans(filters).order_by("-id")[: limit + 1])
            if options["format"] == "json":
                put(self.stdout, "".join(json_list("scans", map(scan_dict, found[:limit]))))
            elif found:
                more = "... and more: --limit N\n" if len(found) > limit else ""
                put(self.stdout, table_text(COLUMNS, map(_row, found[:limit])) + more)
            else:
                put(self.stdout, "No scan matches.\n" if filters else "No scan is remembered.\n")


FILTERS = {"database": "of this database, retired ones too", "complete": "1: all checks ran; 0: some could not"}
COLUMNS = ("id", "recorded", "database", "by", "status", "complete", "ms", "new", "returned", "resolved", "ongoing")


def _row(scan: Scan) -> tuple[object, ...]:
    return (
        scan.pk,
        format_instant(scan.recorded_at),
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
