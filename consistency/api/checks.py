"""State of each check: the definition, the last recorded result, and the mute."""

from collections.abc import Iterable
from typing import Any

from consistency.history.queries import acknowledged_by_check, active_mutes, last_attempts, recorded_names
from consistency.history.serializers import CheckSerializer
from consistency.models.history import Mute, ScanCheck
from consistency.registry import CHECKS, Severity
from consistency.scan.selection import default_checks

RESULT_KEYS = ("outcome", "count", "acknowledged", "muted", "new", "returned", "resolved")


def check_data(database: str, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Return the state of these checks on a database; by default of all checks, retired checks last."""
    runs, acknowledged = last_attempts(database), acknowledged_by_check(database)
    mutes = {mute.check_name: mute for mute in active_mutes(database)}
    if names is None:
        recorded = (name for name, recorded_on in recorded_names() if recorded_on == database)
        names = dict.fromkeys([*CHECKS, *recorded])
    rows = [_row(name, database, runs.get(name), acknowledged.get(name, 0), mutes.get(name)) for name in names]
    return list(CheckSerializer(rows, many=True).data)


def _row(name: str, database: str, run: ScanCheck | None, acknowledged: int, mute: Mute | None) -> dict[str, Any]:
    check = CHECKS.get(name)
    severity = check.severity if check else Severity(run.severity) if run else Severity.INFO
    result = {key: getattr(run, key, None) for key in RESULT_KEYS}
    if run and run.count is not None:
        # Suppressions of now: an acknowledgement shows before the next scan.
        acknowledged = min(acknowledged, run.count)
        result |= {"acknowledged": acknowledged, "muted": run.count - acknowledged if mute else 0}
    return {
        "check": name,
        "retired": check is None,
        "severity": severity.word,
        "title": check and check.title,
        "hint": check and check.hint,
        "runbook": check and check.runbook,
        "tags": check and list(check.tags),
        "default": check in default_checks(),
        "scan": run and run.scan_id,
        "scanned_at": run and run.scan.recorded_at,
        **result,
        "mute": mute,
    }
