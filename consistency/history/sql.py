"""The statements that make findings anomalies: each once per scan, however many findings there are."""

from typing import Final

from consistency.history.spool import COLUMNS

_COLUMNS: Final = ", ".join(COLUMNS)

FINDINGS: Final = "consistency_findings"
UNSURE: Final = "consistency_unsure"
"""What either of two looks saw, of checks about which they differed."""
TABLE: Final = """
CREATE TEMPORARY TABLE {} (
    check_name text NOT NULL, severity smallint NOT NULL, object_type text NOT NULL, object_id text NOT NULL,
    detail text NOT NULL, file_uuid text, file_name text, status text, silent boolean NOT NULL
) ON COMMIT DROP"""
COPY: Final = f"COPY {{}} ({_COLUMNS}, silent) FROM STDIN"

# An acknowledgement is about what was seen: it ends with its time, with another detail, and with a return.
_STILL: Final = "a.resolved_at IS NULL AND a.detail = excluded.detail AND a.acknowledged_until > %(now)s"
_ACKNOWLEDGED: Final = ("acknowledged_by", "acknowledged_at", "acknowledged_until", "acknowledged_reason")
_KEPT: Final = ", ".join(f"{name} = CASE WHEN {_STILL} THEN a.{name} END" for name in _ACKNOWLEDGED)

# What goes on is no news: what the indexes hold of it stays.
_NEWS: Final = ", ".join(
    f"{name} = CASE WHEN a.resolved_at IS NULL THEN a.{name} ELSE excluded.{name} END"
    for name in ("appeared_at", "appeared_scan")
)

# What was silent when last seen, and is heard now.
_AGAIN: Final = "a.hearing = 'silent' AND excluded.hearing = 'heard'"

# A check may name an object twice: one anomaly, and always the same of its details.
SEEN: Final = f"""
WITH seen AS (
    INSERT INTO consistency_anomaly AS a (
        database, {_COLUMNS}, state, first_seen, appeared_at, appeared_scan, last_seen, last_scan, times_seen,
        returned_count, hearing)
    SELECT DISTINCT ON (check_name, object_type, object_id)
        %(database)s, {_COLUMNS}, 'new', %(at)s, %(at)s, %(scan)s, %(at)s, %(scan)s, 1, 0,
        CASE WHEN silent OR check_name = ANY(%(muted)s) THEN 'silent' ELSE 'heard' END
    FROM {FINDINGS} ORDER BY check_name, object_type, object_id, detail
    ON CONFLICT (database, check_name, object_type, object_id) DO UPDATE SET
        severity = excluded.severity, detail = excluded.detail, file_uuid = excluded.file_uuid,
        file_name = excluded.file_name, status = excluded.status,
        state = CASE WHEN a.resolved_at IS NULL THEN 'ongoing' ELSE 'returned' END,
        returned_count = a.returned_count + (a.resolved_at IS NOT NULL)::int, resolved_at = NULL, {_NEWS},
        last_seen = excluded.last_seen, last_scan = excluded.last_scan, times_seen = a.times_seen + 1,
        hearing = CASE WHEN {_AGAIN} THEN 'again' ELSE excluded.hearing END, {_KEPT}
    RETURNING check_name, state, hearing)
SELECT check_name, state, count(*) FROM seen GROUP BY check_name, state
UNION ALL
SELECT check_name, 'heard_again', count(*) FROM seen WHERE hearing = 'again' GROUP BY check_name"""  # noqa: S608 - names of ours

_GONE: Final = """
WITH gone AS (
    UPDATE consistency_anomaly AS a SET state = 'resolved', resolved_at = %(at)s
    WHERE database = %(database)s AND check_name = ANY(%(checks)s) AND resolved_at IS NULL AND last_scan <> %(scan)s{}
    RETURNING check_name, hearing)
SELECT check_name, 'resolved', count(*) FROM gone GROUP BY check_name
UNION ALL
SELECT check_name, 'resolved_silent', count(*) FROM gone WHERE hearing = 'silent' GROUP BY check_name"""
RESOLVED: Final = _GONE.format("")
RESOLVED_FOR_SURE: Final = _GONE.format(
    f"""
    AND NOT EXISTS (
        SELECT FROM {UNSURE} AS u WHERE u.check_name = a.check_name
            AND u.object_type = a.object_type AND u.object_id = a.object_id)"""
)

# Of checks about which two looks differed: what stays as it was, and is neither acknowledged nor muted now.
LEFT: Final = """
SELECT check_name, 'left_heard', count(*) FROM consistency_anomaly AS a
WHERE database = %(database)s AND check_name = ANY(%(doubted)s) AND resolved_at IS NULL AND last_scan <> %(scan)s
    AND (acknowledged_until IS NULL OR acknowledged_until <= %(now)s)
    AND NOT EXISTS (
        SELECT FROM consistency_mute AS m WHERE m.database = a.database AND m.check_name = a.check_name
            AND m.ended_at IS NULL AND m.until > %(now)s)
GROUP BY check_name"""

LAST_SNAPSHOT: Final = "SELECT max(snapshot_at) FROM consistency_scan WHERE database = %s"

# How mutes go on after a check that completed: over, which is told, or a lower mark. Where two looks differed, nothing
# has become better for sure.
MUTES_OVER: Final = """
UPDATE consistency_mute SET ended_at = %(now)s, ended_because = CASE
    WHEN until <= %(now)s THEN 'time' WHEN %(count)s = 0 THEN 'clean' ELSE 'exceeded' END
WHERE database = %(database)s AND check_name = %(check)s AND ended_at IS NULL
    AND (until <= %(now)s OR NOT sticky AND (%(count)s = 0 AND NOT %(doubted)s OR %(count)s > mark))
RETURNING by, reason, ended_because, mark"""
MUTES_LOWER: Final = """
UPDATE consistency_mute SET mark = %(count)s
WHERE database = %(database)s AND check_name = %(check)s AND ended_at IS NULL AND NOT %(doubted)s
    AND (mark IS NULL OR mark > %(count)s)"""
