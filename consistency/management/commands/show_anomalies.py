"""The anomalies that are remembered, for people and for pipes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.db.models import QuerySet

from consistency.arguments import argument, whole_number
from consistency.formats import instant
from consistency.memory_command import json_list, table_text, told
from consistency.memory_formats import anomaly_dict
from consistency.memory_models import Anomaly, State
from consistency.registry import Severity
from consistency.silence import MEMORY

STATES = ("open", *State.values, "all")
ROWS_OF_TEXT = 50


class Command(BaseCommand):
    help = "Show what scans have found and remembered, newest first; by default what is open."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """The filters of the list."""
        add = parser.add_argument
        add("--check", action="append", default=[], metavar="CHECK", help="of this check; repeatable, retired ones too")
        add("--state", default="open", choices=STATES, help="open (default), one state, or all")
        add("--database", metavar="ALIAS", help="of this database only")
        add(
            "--limit", metavar="N", type=argument(whole_number), help=f"at most so many (text {ROWS_OF_TEXT}, json all)"
        )
        add("--format", default="text", choices=("text", "json"))

    def handle(self, **options: Any) -> None:
        """Show them."""
        with told(), transaction.atomic(using=MEMORY):
            found = _filtered(options)
            if options["format"] == "json":
                rows = found[: options["limit"]].iterator(chunk_size=2000)
                for piece in json_list("anomalies", map(anomaly_dict, rows)):
                    self.stdout.write(piece, ending="")
            else:
                limit = ROWS_OF_TEXT if options["limit"] is None else options["limit"]
                self.stdout.write(_text(list(found[: limit + 1]), limit), ending="")


def _filtered(options: dict[str, Any]) -> QuerySet[Anomaly]:
    found = Anomaly.objects.using(MEMORY).order_by("-first_seen", "-id")
    if options["check"]:
        found = found.filter(check_name__in=options["check"])
    if options["database"]:
        found = found.filter(database=options["database"])
    state = options["state"]
    if state == "all":
        return found
    # Said of every state, so that an index serves it.
    found = found.filter(resolved_at__isnull=state != State.RESOLVED)
    return found if state == "open" else found.filter(state=state)


def _text(found: list[Anomaly], limit: int) -> str:
    columns = ("id", "severity", "check", "object", "file", "state", "since", "times", "acknowledged", "detail")
    more = "... and more: --limit N, or --format json for all\n" if len(found) > limit else ""
    return table_text(columns, map(_row, found[:limit])) + more


def _row(anomaly: Anomaly) -> tuple[object, ...]:
    until = anomaly.acknowledged_until
    return (
        anomaly.pk,
        Severity(anomaly.severity).word,
        anomaly.check_name + (" (retired)" if anomaly.retired else ""),
        f"{anomaly.object_type} {anomaly.object_id}",
        anomaly.file_name,
        anomaly.state,
        instant(anomaly.first_seen),
        anomaly.times_seen,
        f"until {instant(until)}" if until else "",
        anomaly.detail,
    )
