"""What the memory looks like as JSON: the same words in the terminal's JSON and over REST."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from common.times import format_instant
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.registry import Severity


def anomaly_dict(anomaly: Anomaly, mutes: Iterable[Mute]) -> dict[str, Any]:
    """One anomaly; `acknowledged` is null while nobody has, what is told of a mute while none of these is about it."""
    mute = mute_of(anomaly, mutes)
    return {
        "id": anomaly.pk,
        "database": anomaly.database,
        "check": anomaly.check_name,
        "retired": anomaly.retired,
        "severity": Severity(anomaly.severity).word,
        "object_type": anomaly.object_type,
        "object_id": anomaly.object_id,
        "file_uuid": anomaly.file_uuid,
        "file_name": anomaly.file_name,
        "status": anomaly.status,
        "detail": anomaly.detail,
        "state": anomaly.state,
        "first_seen": format_instant(anomaly.first_seen),
        "appeared_at": format_instant(anomaly.appeared_at),
        "last_seen": format_instant(anomaly.last_seen),
        "times_seen": anomaly.times_seen,
        "resolved_at": moment(anomaly.resolved_at),
        "returned_count": anomaly.returned_count,
        "acknowledged": _acknowledged(anomaly),
        "muted_until": moment(mute.until if mute else None),
        "muted_by": mute.by if mute else None,
        "muted_reason": mute.reason if mute else None,
        "assignee": anomaly.assignee,
        "note": anomaly.note,
    }


def acknowledged_until(anomaly: Anomaly) -> datetime | None:
    """When its acknowledgement ends, while that holds: past its time the row says so only after the next scan."""
    until = anomaly.acknowledged_until
    return until if until and until > timezone.now() and not anomaly.resolved_at else None


def mute_of(anomaly: Anomaly, mutes: Iterable[Mute]) -> Mute | None:
    """The mute of its check, if it is open and one of these is about it."""
    about = (mute for mute in mutes if (mute.database, mute.check_name) == (anomaly.database, anomaly.check_name))
    return None if anomaly.resolved_at else next(about, None)


def _acknowledged(anomaly: Anomaly) -> dict[str, Any] | None:
    if (until := acknowledged_until(anomaly)) is None:
        return None
    return {
        "by": anomaly.acknowledged_by,
        "at": moment(anomaly.acknowledged_at),
        "until": moment(until),
        "reason": anomaly.acknowledged_reason,
    }


def lasting(mute: Mute) -> str:
    """What ends a mute before its time, in words that follow `until` that time."""
    if mute.sticky:
        return "whatever it finds"
    mark = "the next scan does" if mute.mark is None else f"{mute.mark:,}"
    return f"until it finds more than {mark}, or until it is clean"


def scan_dict(scan: Scan) -> dict[str, Any]:
    """One scan with what each check came to."""
    return {
        "id": scan.pk,
        "database": scan.database,
        "recorded_at": format_instant(scan.recorded_at),
        "snapshot_at": moment(scan.snapshot_at),
        "trigger": scan.trigger,
        "actor": scan.actor,
        "status": scan.status,
        "complete": scan.complete,
        "duration_ms": scan.duration_ms,
        "affected_files": scan.affected_files,
        "new": scan.new,
        "returned": scan.returned,
        "resolved": scan.resolved,
        "ongoing": scan.ongoing,
        "checks": [_check(check) for check in scan.checks.all()],
    }


def _check(check: ScanCheck) -> dict[str, Any]:
    return {
        "check": check.check_name,
        "retired": check.retired,
        "severity": Severity(check.severity).word,
        "outcome": check.outcome,
        "count": check.count,
        "acknowledged": check.acknowledged,
        "muted": check.muted,
        "duration_ms": check.duration_ms,
        "error": check.error or None,
        "new": check.new,
        "returned": check.returned,
        "resolved": check.resolved,
        "ongoing": check.ongoing,
    }


def moment(value: datetime | None) -> str | None:
    """A time in UTC, where there is one."""
    return None if value is None else format_instant(value)
