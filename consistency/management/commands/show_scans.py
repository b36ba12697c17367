"""`manage.py show_scans`: list the recorded scans."""

from typing import Any, Final

from django.core.management.base import CommandParser

from common.arguments import parse_count
from common.commands import ContinuityCommand
from common.output import json_list, table_text
from common.times import format_instant
from consistency.history.filters import ScanFilter
from consistency.history.serializers import ScanSerializer
from consistency.management.shared import add_filters, filter_query, filter_rows, history_transaction
from consistency.models.history import Scan

COLUMNS: Final = (
    "id",
    "recorded",
    "database",
    "by",
    "status",
    "complete",
    "ms",
    "new",
    "returned",
    "resolved",
    "ongoing",
)


class Command(ContinuityCommand):
    help = "Show the recorded scans, newest first, with the new, returned and resolved anomalies of each scan."

    def add_arguments(self, parser: CommandParser) -> None:
        add_filters(parser, ScanFilter)
        parser.add_argument("--limit", default=20, metavar="N", type=parse_count, help="at most N scans (20)")
        parser.add_argument(
            "--format", default="text", choices=("text", "json"), help="text (default) or json, with the checks"
        )

    def run(self, *args: Any, **options: Any) -> None:
        query, limit = filter_query(options, ScanFilter), options["limit"]
        with history_transaction():
            scans = Scan.objects.prefetch_related("checks").order_by("-id")
            rows = list(filter_rows(ScanFilter, query, scans)[: limit + 1])
        if options["format"] == "json":
            self.stdout.write("".join(json_list("scans", ScanSerializer(rows[:limit], many=True).data)))
        elif rows:
            self.stdout.write(table_text(COLUMNS, map(_cells, rows[:limit]), terminal=self.stdout.isatty()))
            if len(rows) > limit:
                self.stdout.write("... and more: --limit N")
        else:
            self.stdout.write("No scan matches." if query else "No scan is recorded.")


def _cells(scan: Scan) -> tuple[object, ...]:
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
