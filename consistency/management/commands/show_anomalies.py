"""`manage.py show_anomalies`: list the recorded anomalies."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from common.arguments import parse_count
from common.commands import ContinuityCommand
from common.output import json_list, table_text
from common.times import format_instant
from consistency.history.filters import AnomalyFilter
from consistency.history.queries import active_mutes, list_order, with_comments
from consistency.history.serializers import AnomalySerializer, mute_of
from consistency.management.console import remaining
from consistency.management.shared import add_filters, filter_query, filter_rows, history_transaction
from consistency.models.history import Anomaly, Mute
from consistency.registry import Severity

DEFAULT_TEXT_LIMIT: Final = 50
CHUNK_SIZE: Final = 1000
COLUMNS: Final = (
    "id", "severity", "check", "object", "file", "state", "since", "resolved", "times", "suppressed", "detail",
)  # fmt: skip


class Command(ContinuityCommand):
    help = (
        "Show the recorded anomalies by severity, then newest first; resolved anomalies by time of resolution. "
        "Without filters, show the open anomalies."
    )
    database_timeout = 300.0

    def add_arguments(self, parser: CommandParser) -> None:
        add_filters(parser, AnomalyFilter)
        needed = "the same as --review needed"
        parser.add_argument("--needs-review", dest="review", action="append_const", const="needed", help=needed)
        parser.add_argument(
            "--limit", metavar="N", type=parse_count, help=f"at most N anomalies (text {DEFAULT_TEXT_LIMIT}, json all)"
        )
        parser.add_argument("--format", default="text", choices=("text", "json"), help="text (default) or json")

    def run(self, *args: Any, **options: Any) -> None:
        query, limit = filter_query(options, AnomalyFilter), options["limit"]
        with history_transaction():
            anomalies = filter_rows(AnomalyFilter, query, Anomaly.objects.all())
            if (order := anomalies.query.order_by) != (list_order(resolved=True),):
                anomalies = anomalies.order_by("-severity", *order)
            if options["format"] == "json":
                for piece in _json(anomalies[:limit]):
                    self.stdout.write(piece, ending="")
            else:
                nothing = "No anomalies match." if query else "No anomalies are open."
                self._write_table(anomalies, DEFAULT_TEXT_LIMIT if limit is None else limit, nothing)

    def _write_table(self, anomalies: "QuerySet[Anomaly]", limit: int, nothing: str) -> None:
        mutes, rows = active_mutes(), list(anomalies[: limit + 1])
        if rows:
            cells = (_cells(row, mutes) for row in rows[:limit])
            self.stdout.write(table_text(COLUMNS, cells, terminal=self.stdout.isatty()))
        else:
            self.stdout.write(nothing)
        if len(rows) > limit:
            self.stdout.write("... and more: --limit N, or --format json for all")


def _json(anomalies: "QuerySet[Anomaly]") -> Iterator[str]:
    serializer = AnomalySerializer(context={"mutes": active_mutes()})
    return json_list("anomalies", map(serializer.to_representation, with_comments(anomalies).iterator(CHUNK_SIZE)))


def _cells(anomaly: Anomaly, mutes: Sequence[Mute]) -> tuple[object, ...]:
    return (
        anomaly.pk,
        Severity(anomaly.severity).word,
        anomaly.check_name + (" (retired)" if anomaly.retired else ""),
        f"{anomaly.object_type} {anomaly.object_id}",
        anomaly.file_name,
        anomaly.state,
        format_instant(anomaly.appeared_at),
        _resolution(anomaly),
        anomaly.times_seen,
        "; ".join(_suppressions(anomaly, mutes)),
        anomaly.detail,
    )


def _resolution(anomaly: Any) -> str | None:
    if anomaly.resolved_at is None:
        return None
    return format_instant(anomaly.resolved_at) + (f" by scan {anomaly.resolved_scan}" if anomaly.resolved_scan else "")


def _suppressions(anomaly: Anomaly, mutes: Sequence[Mute]) -> Iterator[str]:
    if anomaly.is_acknowledged and anomaly.acknowledged_until:
        left = remaining(anomaly.acknowledged_until)
        yield f"acknowledged by {anomaly.acknowledged_by}: {anomaly.acknowledged_reason}, {left}"
    if mute := mute_of(anomaly, mutes):
        yield f"muted by {mute.by}: {mute.reason}, {remaining(mute.until)}"
