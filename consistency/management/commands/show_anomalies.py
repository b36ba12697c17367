"""The anomalies that are remembered, for people and for pipes."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from django.core.management.base import CommandParser
from django.http import QueryDict

from common.arguments import parse_count
from common.times import format_instant
from consistency.api.query import SEVERITIES, STATES, anomalies
from consistency.history.formats import acknowledged_until, anomaly_dict, mute_of
from consistency.history.kinds import Listed
from consistency.history.lists import agreed
from consistency.history.order import pieces
from consistency.management.console import left
from consistency.management.ending import put
from consistency.management.shared import as_query, asking, json_list, table_text, told
from consistency.management.usage import BriefCommand
from consistency.models.history import Anomaly, Mute
from consistency.registry import Severity

ROWS_OF_TEXT: Final = 50
COLUMNS: Final = ("id", "severity", "check", "object", "file", "state", "since", "times", "silent", "detail")
FILTERS: Final = {
    "check": "of this check, retired ones too; repeatable",
    "severity": f"of this severity: {', '.join(SEVERITIES)}; repeatable",
    "state": f"{', '.join(STATES)}; else what is open",
    "silenced": "1: acknowledged or muted; 0: neither",
    "since": "new or back since then: 24h, 7d, or 2026-05-18T17:30:00Z",
    "scan": "new or back in the scan of this number; --state all for those resolved since too",
    "assignee": "whom it is assigned to",
    "uuid": "whose file_uuid, or the number or uuid of a job or an identity, begins so",
    "name": "whose file_name begins so",
    "database": "of this database, retired ones too",
}


class Command(BriefCommand):
    help = "Show what scans have found and remembered, newest first; by default what is open."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """The filters of the list, by the names that they have over REST."""
        for name, words in FILTERS.items():
            parser.add_argument(f"--{name}", action="append", default=[], metavar=name.upper(), help=words)
        add = parser.add_argument
        add("--limit", metavar="N", type=parse_count, help=f"at most N (text {ROWS_OF_TEXT}, json all)")
        add("--format", default="text", choices=("text", "json"), help="text (default) or json")

    def handle(self, **options: Any) -> None:
        """Show them."""
        with told(self.stdout), asking():
            shown = _as_json if options["format"] == "json" else _as_text
            for piece in shown(as_query(options, FILTERS), options["limit"]):
                put(self.stdout, piece)


def _as_json(filters: QueryDict, limit: int | None) -> Iterator[str]:
    silent = agreed()
    rows = chain.from_iterable(pieces(anomalies(filters, silent)))
    return json_list("anomalies", (anomaly_dict(row, silent.mutes) for row in islice(rows, limit)))


def _as_text(filters: QueryDict, limit: int | None) -> Iterator[str]:
    limit = ROWS_OF_TEXT if limit is None else limit
    silent = agreed()
    mutes, rows = silent.mutes, Listed(anomalies(filters, silent)).rows(0, limit + 1)
    if rows:
        yield table_text(COLUMNS, (_row(row, mutes) for row in rows[:limit]))
    else:
        yield "No anomalies" + (" match.\n" if filters else " are open.\n")
    if len(rows) > limit:
        yield "... and more: --limit N, or --format json for all\n"


def _row(anomaly: Anomaly, mutes: Sequence[Mute]) -> tuple[object, ...]:
    return (
        anomaly.pk,
        Severity(anomaly.severity).word,
        anomaly.check_name + (" (retired)" if anomaly.retired else ""),
        f"{anomaly.object_type} {anomaly.object_id}",
        anomaly.file_name,
        anomaly.state,
        format_instant(anomaly.appeared_at),
        anomaly.times_seen,
        _silent(anomaly, mutes),
        anomaly.detail,
    )


def _silent(anomaly: Anomaly, mutes: Sequence[Mute]) -> str:
    told = []
    if until := acknowledged_until(anomaly):
        told.append(f"acknowledged by {anomaly.acknowledged_by}: {anomaly.acknowledged_reason}, {left(until)}")
    if mute := mute_of(anomaly, mutes):
        told.append(f"muted by {mute.by}: {mute.reason}, {left(mute.until)}")
    return "; ".join(told)
