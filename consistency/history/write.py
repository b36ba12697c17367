"""Write one scan from the temporary tables of the recorder to the history."""

from collections import defaultdict
from typing import Any

from consistency.history import statements
from consistency.history.changes import Changes, EndedMute, RecordedScan
from consistency.history.locks import AlreadyRunningError, lock_anomalies
from consistency.models.history import Mute, MuteEnd, Scan, ScanCheck
from consistency.scan.report import Outcome, Report

Counts = dict[str, dict[str, int]]


class OlderSnapshotError(AlreadyRunningError):
    """A scan with a later snapshot is recorded already."""


def write_scan(cursor: Any, scan: Scan, report: Report, *, two_passes: bool) -> RecordedScan:
    """Write scan, anomalies, events, runs and mutes; return the changes. Raises OlderSnapshotError."""
    lock_anomalies(cursor)
    _refuse_older(scan)
    scan.save()
    ran = [outcome for outcome in report.outcomes if outcome.error is None]
    mutes = {
        mute.check_name: mute
        for mute in Mute.objects.filter(
            database=scan.database, check_name__in=[outcome.check.name for outcome in ran], ended_at__isnull=True
        )
    }
    parameters = _parameters(cursor, scan, ran, mutes)
    counts = _change_anomalies(cursor, parameters, ran, two_passes=two_passes)
    by_check = {outcome.check.name: Changes(**counts[outcome.check.name]) for outcome in report.outcomes}
    numbers = dict(zip(parameters["names"], parameters["numbers"], strict=True))
    ScanCheck.objects.bulk_create(
        _scan_check(scan, outcome, by_check[outcome.check.name], numbers) for outcome in report.outcomes
    )
    total = Changes(**{name: sum(getattr(c, name) for c in by_check.values()) for name in Changes.__dataclass_fields__})
    for word in ("new", "returned", "resolved", "ongoing"):
        setattr(scan, word, getattr(total, word))
    scan.save()
    ended = [_end_or_lower(mutes[o.check.name], scan, o, by_check[o.check.name]) for o in ran if o.check.name in mutes]
    return RecordedScan(
        id=scan.pk, changes=total, by_check=by_check, mutes_ended=[mute for mute in ended if mute is not None]
    )


def _refuse_older(scan: Scan) -> None:
    newest = Scan.objects.filter(database=scan.database, snapshot_at__isnull=False).order_by("-snapshot_at").first()
    if newest and newest.snapshot_at and scan.snapshot_at and scan.snapshot_at < newest.snapshot_at:
        raise OlderSnapshotError(
            f"another scan of database {scan.database!r} with a later snapshot, of"
            f" {newest.snapshot_at:%Y-%m-%dT%H:%M:%S.%fZ}, is recorded already; this scan is of"
            f" {scan.snapshot_at:%Y-%m-%dT%H:%M:%S.%fZ}: scan again. If the message stays, check whether the server's"
            " clock was set back or a replica is behind."
        )


def _parameters(cursor: Any, scan: Scan, ran: list[Outcome], mutes: dict[str, Mute]) -> dict[str, Any]:
    """Return the parameters of all statements: the scan, and arrays with an entry per check that ran."""
    names = [outcome.check.name for outcome in ran]
    cursor.execute(statements.PREVIOUS_RUNS, [scan.database, names])
    previous = {name: values for name, *values in cursor.fetchall()}
    run, seen_at, recorded_at, muted = (
        zip(*(previous.get(name, (0, None, None, False)) for name in names), strict=True) if names else ((),) * 4
    )
    return {
        "database": scan.database,
        "scan": scan.pk,
        "at": scan.snapshot_at or scan.recorded_at,
        "now": scan.recorded_at,
        "names": names,
        "numbers": [number + 1 for number in run],
        "seen_at": list(seen_at),
        "previous": list(recorded_at),
        "muted_before": list(muted),
        # A mute also holds while the scan saw none of the open anomalies, but only one of two passes did.
        "muted": [
            (mute := mutes.get(outcome.check.name)) is not None and mute.holds(max(outcome.count or 0, 1))
            for outcome in ran
        ],
    }


def _change_anomalies(cursor: Any, parameters: dict[str, Any], ran: list[Outcome], *, two_passes: bool) -> Counts:
    counts: Counts = defaultdict(lambda: defaultdict(int))

    def count(statement: str, *names: str) -> None:
        cursor.execute(statement, parameters)
        for check, *numbers in cursor.fetchall():
            counts[check].update(zip(names, numbers, strict=True))

    if any(outcome.count for outcome in ran):
        cursor.execute("ANALYZE scan_finding")
        cursor.execute(statements.DELETE_DUPLICATES)
    cursor.execute(statements.END_ACKNOWLEDGEMENTS, parameters)
    # Lists show the newest event first: new anomalies above returned ones.
    count(statements.RETURN_RESOLVED, "returned")
    count(statements.INSERT_NEW, "new")
    cursor.execute(statements.UPDATE_CHANGED, parameters)
    count(statements.RESOLVE_MISSING, "resolved", "resolved_suppressed")
    count(statements.COUNT_FINDINGS, "ongoing")
    for numbers in counts.values():
        numbers["ongoing"] -= numbers["new"] + numbers["returned"]
    if two_passes:
        count(statements.COUNT_KEPT, "kept", "kept_unsuppressed")
    for numbers in counts.values():
        numbers["ongoing"] += numbers["kept"]
    count(statements.COUNT_NO_LONGER_SUPPRESSED, "no_longer_suppressed")
    return counts


def _scan_check(scan: Scan, outcome: Outcome, changes: Changes, numbers: dict[str, int]) -> ScanCheck:
    count = None if outcome.count is None else outcome.count + changes.kept
    return ScanCheck(
        scan=scan,
        database=scan.database,
        check_name=outcome.check.name,
        severity=outcome.check.severity.value,
        outcome="could_not_run" if outcome.error else "found" if count else "clean",
        count=count,
        run=numbers.get(outcome.check.name),
        acknowledged=outcome.acknowledged,
        muted=outcome.muted,
        duration_ms=outcome.duration_ms,
        error=outcome.error or "",
        new=changes.new,
        returned=changes.returned,
        resolved=changes.resolved,
        ongoing=changes.ongoing,
    )


def _end_or_lower(mute: Mute, scan: Scan, outcome: Outcome, changes: Changes) -> EndedMute | None:
    """End a mute whose time is over or whose check is clean or worse; else lower the mark to the count."""
    count = outcome.count or 0
    if mute.until <= scan.recorded_at:
        because = MuteEnd.TIME
    elif not mute.sticky and not count and not changes.kept:
        because = MuteEnd.CLEAN
    elif not mute.sticky and mute.mark is not None and count > mute.mark:
        because = MuteEnd.EXCEEDED
    else:
        # An anomaly that one pass did not see may still be there: keep the mark.
        if not changes.kept and (mute.mark is None or count < mute.mark):
            Mute.objects.filter(pk=mute.pk).update(mark=count)
        return None
    Mute.objects.filter(pk=mute.pk).update(ended_at=scan.recorded_at, ended_because=because)
    return EndedMute(
        check=mute.check_name, by=mute.by, reason=mute.reason, because=because.value, count=count, mark=mute.mark
    )
