"""QuerySets and conditions over the history, for every surface."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.utils import timezone

from common.choices import validate_choice
from consistency.history.suppression import SuppressionError
from consistency.models.conditions import NEEDS_REVIEW, OPEN, PREFIX_LENGTH, prefix
from consistency.models.history import Anomaly, AnomalyEvent, EventKind, Mute, Scan, ScanCheck, State
from consistency.registry import CHECKS

STATES = ("open", *State.values, "acknowledged", "muted", "retired", "all")
NONE = Q(pk__in=[])


# --- Runs ------------------------------------------------------------------------------------------------
# Reads an index entry for every check and database. DISTINCT would read all runs.
_NEWEST = """
WITH RECURSIVE newest AS (
    (SELECT id, check_name, database FROM consistency_scancheck WHERE {condition}
     ORDER BY check_name, database, scan_id DESC LIMIT 1)
    UNION ALL
    SELECT following.* FROM newest, LATERAL (
        SELECT id, check_name, database FROM consistency_scancheck
        WHERE (check_name, database) > (newest.check_name, newest.database) AND {condition}
        ORDER BY check_name, database, scan_id DESC LIMIT 1) AS following)
SELECT id FROM newest"""
LAST_RUNS = RawSQL(_NEWEST.format(condition="count IS NOT NULL"), [])  # noqa: S611 - constants
LAST_ATTEMPTS = RawSQL(_NEWEST.format(condition="TRUE"), [])  # noqa: S611 - constants


def last_runs(database: str | None = None) -> "QuerySet[ScanCheck]":
    """Return the last completed run of every check, optionally of a single database."""
    runs = ScanCheck.objects.filter(pk__in=LAST_RUNS).select_related("scan")
    return runs if database is None else runs.filter(database=database)


def last_attempts(database: str) -> dict[str, ScanCheck]:
    """Return the last result of each check on a database by name, including runs that failed."""
    attempts = ScanCheck.objects.filter(pk__in=LAST_ATTEMPTS, database=database)
    return {run.check_name: run for run in attempts.select_related("scan")}


def last_scan(database: str = DEFAULT_DB_ALIAS) -> Scan | None:
    """Return the last recorded scan of a database."""
    return Scan.objects.filter(database=database).order_by("-id").first()


def first_scan(database: str = DEFAULT_DB_ALIAS) -> Scan | None:
    """Return the oldest scan of a database that retention has kept."""
    return Scan.objects.filter(database=database).order_by("id").first()


def last_complete_scan(database: str = DEFAULT_DB_ALIAS) -> Scan | None:
    """Return the last complete scan that ran the default checks."""
    scans = Scan.objects.filter(database=database, complete=True)
    for check in (check for check in CHECKS.values() if check.default):
        ran = ScanCheck.objects.filter(check_name=check.name, database=database)
        # A scan of other checks alone is not complete, however many of them came since.
        newest = ran.order_by("-scan_id").values("scan_id")[:1]
        scans = scans.filter(Exists(ran.filter(scan_id=OuterRef("pk"))), pk__lte=Subquery(newest))
    return scans.order_by("-id").first()


# --- Names -----------------------------------------------------------------------------------------------
def recorded_names() -> list[tuple[str, str]]:
    """Return check and database of all recorded runs and running mutes."""
    runs = ScanCheck.objects.filter(pk__in=LAST_ATTEMPTS).order_by().values_list("check_name", "database")
    mutes = Mute.objects.filter(ended_at__isnull=True).order_by().values_list("check_name", "database")
    return sorted(runs.union(mutes))


def check_names() -> list[str]:
    """Return the names of all checks, retired checks last."""
    return list(dict.fromkeys([*CHECKS, *(check for check, _ in recorded_names())]))


def validate_check(name: str) -> str:
    """Return the name of a defined or recorded check. Raises UnknownChoiceError."""
    return name if name in CHECKS else validate_choice("check", name, check_names())


def validate_database(name: str) -> str:
    """Return the name of a configured database. Raises UnknownChoiceError."""
    return validate_choice("database", name, list(connections))


def validate_mutable(check: str, database: str) -> None:
    """Raise SuppressionError for a retired check, UnknownChoiceError for an unknown name."""
    validate_database(database)
    if validate_check(check) not in CHECKS:
        raise SuppressionError(f"{check} is retired: it is no longer defined, so there is nothing to mute.")


# --- Suppressed anomalies --------------------------------------------------------------------------------
def active_mutes(database: str | None = None) -> list[Mute]:
    """Return the mutes in force, of one database or of all. The scan that exceeds a mute ends the mute."""
    running = Mute.objects.filter(ended_at__isnull=True, until__gt=timezone.now())
    return list(running if database is None else running.filter(database=database))


def acknowledged() -> Q:
    """Match open anomalies with an acknowledgement in force."""
    return OPEN & Q(acknowledged_until__gt=timezone.now())


def muted(mutes: list[Mute] | None = None) -> Q:
    """Match open anomalies of muted checks."""
    condition = NONE
    for mute in active_mutes() if mutes is None else mutes:
        condition |= Q(check_name=mute.check_name, database=mute.database)
    return OPEN & condition


def unsuppressed() -> Q:
    """Match open anomalies that are neither acknowledged nor muted."""
    return OPEN & (Q(acknowledged_until__isnull=True) | Q(acknowledged_until__lte=timezone.now())) & ~muted()


def needs_review() -> Q:
    """Match unsuppressed anomalies that nobody reviewed since they were found or returned."""
    return NEEDS_REVIEW & unsuppressed()


def suppressed(value: bool) -> Q:
    """Match suppressed open anomalies, or the unsuppressed and the resolved ones."""
    return acknowledged() | muted() if value else ~OPEN | unsuppressed()


def in_state(state: str) -> Q:
    """Match anomalies in a state of STATES."""
    if state in (State.NEW, State.RETURNED, State.ONGOING):
        in_last_scan = appeared_in_last_scans()
        if state == State.ONGOING:
            return OPEN & ~in_last_scan
        return OPEN & in_last_scan & (Q(returned_count=0) if state == State.NEW else Q(returned_count__gt=0))
    conditions: dict[str, Callable[[], Q]] = {
        "all": Q,
        "open": lambda: OPEN,
        State.RESOLVED.value: lambda: ~OPEN,
        "acknowledged": acknowledged,
        "muted": lambda: muted() & ~acknowledged(),
        "retired": lambda: OPEN & ~Q(check_name__in=list(CHECKS)),
    }
    return conditions[state]()


def appeared_in_last_scans() -> Q:
    """Match anomalies found new or returned by the last run of their check."""
    condition = NONE
    for run in last_runs():
        condition |= Q(check_name=run.check_name, database=run.database, appeared_scan=run.scan_id)
    return condition


def resolved_in_last_scans() -> Q:
    """Match anomalies resolved by the last run of the check."""
    condition = NONE
    for run in last_runs().filter(resolved__gt=0):
        at = run.scan.snapshot_at or run.scan.recorded_at
        condition |= Q(check_name=run.check_name, database=run.database, resolved_at=at)
    return condition


def changed_by_scan(anomalies: "QuerySet[Anomaly]", scan: int, kind: EventKind) -> "QuerySet[Anomaly, Any]":
    """Return the anomalies that a scan found, returned or resolved, with the id of that event as `scan_event`.

    The event stays when the anomaly changes later. An index serves the order by `scan_event`, for any number of rows.
    """
    return anomalies.filter(events__scan=scan, events__kind=kind).annotate(scan_event=F("events__id"))


def appeared_since(moment: datetime) -> Q:
    """Match anomalies found new or returned at or after a time."""
    return Q(appeared_at__gte=moment)


def resolved_since(moment: datetime) -> Q:
    """Match anomalies resolved at or after a time."""
    return Q(resolved_at__gte=moment)


def starts_with(text: str, *fields: str) -> Q:
    """Match anomalies with a field that starts with a text. Case matters; an index serves the prefix."""
    # One union: with an OR of subqueries PostgreSQL would test each anomaly.
    first, *rest = (_keys_starting_with(text, field) for field in fields)
    return Q(pk__in=first.union(*rest, all=True) if rest else first)


def _keys_starting_with(text: str, field: str) -> "QuerySet[Anomaly, Any]":
    rows = Anomaly._base_manager.order_by().alias(start=prefix(field)).filter(start__startswith=text[:PREFIX_LENGTH])
    if len(text) > PREFIX_LENGTH:
        rows = rows.filter(**{f"{field}__startswith": text})
    if field == "object_id":
        rows = rows.exclude(object_type="file")
    return rows.values("pk")


def causes(check: str, limit: int) -> list[dict[str, Any]]:
    """Return the largest groups of unsuppressed anomalies of a check: `cause`, `number`, `first_seen`, `last_new`."""
    groups = Anomaly._base_manager.filter(unsuppressed(), check_name=check).order_by().values("cause")
    counted = groups.annotate(number=Count("pk"), first_seen=Min("first_seen"), last_new=Max("appeared_at"))
    return list(counted.order_by("-number", "cause")[:limit])


def object_key(anomaly: Anomaly) -> tuple[str, str, str]:
    """Return the key of the object of an anomaly."""
    return anomaly.database, anomaly.object_type, anomaly.object_id


def file_key(anomaly: Anomaly) -> tuple[str, str, str]:
    """Return the key of the file of an anomaly, else of its object."""
    return object_key(anomaly) if anomaly.file_uuid is None else (anomaly.database, "file", anomaly.file_uuid)


def open_of_same(anomalies: Iterable[Anomaly], key: Callable[[Anomaly], tuple[str, str, str]]) -> list[Anomaly]:
    """Return the open anomalies with the same object or file, by `key`, as these anomalies; the most severe first."""
    keys = {key(anomaly) for anomaly in anomalies}
    files = Q(file_start__in={word[:PREFIX_LENGTH] for _, kind, word in keys if kind == "file"})
    if key is object_key:
        files &= Q(object_type="file")
    objects = Q(object_start__in={word[:PREFIX_LENGTH] for _, kind, word in keys if kind != "file"})
    rows = Anomaly._base_manager.alias(file_start=prefix("file_uuid"), object_start=prefix("object_id"))
    # Sorted here: an ORDER BY would make PostgreSQL walk the index of that order.
    found = rows.filter(OPEN, files | (~Q(object_type="file") & objects)).order_by()
    return sorted((row for row in found if key(row) in keys), key=lambda row: (-row.severity, -row.appeared_event))


def acknowledged_by_check(database: str) -> dict[str, int]:
    """Return the number of acknowledged open anomalies by check."""
    rows = Anomaly._base_manager.filter(acknowledged(), database=database).order_by()
    return dict(rows.values_list("check_name").annotate(number=Count("pk")))


def acknowledged_by_category() -> dict[str, int]:
    """Return the number of acknowledged open anomalies by category, with a category."""
    rows = Anomaly._base_manager.filter(acknowledged(), acknowledged_category__isnull=False).order_by()
    return dict(rows.values_list("acknowledged_category").annotate(number=Count("pk")))


def previous_run(scan: int, check: str, database: str) -> ScanCheck | None:
    """Return the result of a check in the last scan before `scan` that ran or tried the check."""
    runs = ScanCheck.objects.filter(check_name=check, scan_id__lt=scan, database=database)
    return runs.order_by("-scan_id").first()


def with_comments(anomalies: "QuerySet[Anomaly]") -> "QuerySet[Anomaly]":
    """Read the comments of all anomalies in one query, as `comments`, oldest first."""
    comments = AnomalyEvent.objects.filter(kind=EventKind.COMMENTED).exclude(text="").order_by("pk")
    return anomalies.prefetch_related(Prefetch("events", comments, to_attr="comments"))


def list_order(resolved: bool) -> str:
    """Return the column that orders a list: newest found or returned first; resolved lists by resolution."""
    return "-resolved_event" if resolved else "-appeared_event"
