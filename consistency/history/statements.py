"""SQL of the recorder: each statement runs once per scan, for any number of findings.

Parameters: `database`, `scan` (number), `at` (time of the data), `now`, and the arrays of `RUNS`, one entry per check
that ran in this scan.
"""

from typing import Final

COLUMNS: Final = ("check_name", "severity", "object_type", "object_id", "detail", "file_uuid", "file_name", "status")
_COLUMNS: Final = ", ".join(COLUMNS)
_KEY: Final = "check_name, object_type, object_id"
_SAME: Final = (
    "a.database = %(database)s AND a.check_name = ANY(%(names)s)"
    " AND (a.check_name, a.object_type, a.object_id) = (f.check_name, f.object_type, f.object_id)"
)
_CONTENT: Final = ("severity", "detail", "file_uuid", "file_name", "status")
_SET_CONTENT: Final = ", ".join(f"{name} = f.{name}" for name in _CONTENT)
_OLD_CONTENT: Final = ", ".join(f"a.{name}" for name in _CONTENT)
_NEW_CONTENT: Final = ", ".join(f"f.{name}" for name in _CONTENT)

CREATE_TABLES: Final = """
CREATE TEMPORARY TABLE scan_finding (
    check_name text NOT NULL, severity smallint NOT NULL, object_type text NOT NULL, object_id text NOT NULL,
    detail text NOT NULL, file_uuid text, file_name text, status text) ON COMMIT DROP;
CREATE TEMPORARY TABLE scan_unconfirmed (
    check_name text NOT NULL, object_type text NOT NULL, object_id text NOT NULL) ON COMMIT DROP"""
COPY_FINDINGS: Final = f"COPY scan_finding ({_COLUMNS}) FROM STDIN"
COPY_UNCONFIRMED: Final = f"COPY scan_unconfirmed ({_KEY}) FROM STDIN"

# A check may return an object twice. One anomaly stands for both, always with the same detail.
DELETE_DUPLICATES: Final = f"""
WITH repeated AS (SELECT {_KEY} FROM scan_finding GROUP BY {_KEY} HAVING count(*) > 1),
ranked AS (
    SELECT scan_finding.ctid AS row, row_number() OVER (PARTITION BY {_KEY} ORDER BY detail) AS rank
    FROM scan_finding JOIN repeated USING ({_KEY}))
DELETE FROM scan_finding WHERE ctid IN (SELECT row FROM ranked WHERE rank > 1)"""  # noqa: S608 - constants

# Number and times of the previous run of every check, and whether a mute suppressed the check.
PREVIOUS_RUNS: Final = """
SELECT DISTINCT ON (c.check_name)
    c.check_name, c.run, coalesce(s.snapshot_at, s.recorded_at), s.recorded_at,
    EXISTS (SELECT FROM consistency_mute m
            WHERE m.database = c.database AND m.check_name = c.check_name AND m.created_at <= s.recorded_at
                AND (m.ended_at IS NULL OR m.ended_at > s.recorded_at))
FROM consistency_scancheck c JOIN consistency_scan s ON s.id = c.scan_id
WHERE c.database = %s AND c.check_name = ANY(%s) AND c.count IS NOT NULL
ORDER BY c.check_name, c.scan_id DESC"""

RUNS: Final = """
unnest(%(names)s::text[], %(numbers)s::int[], %(seen_at)s::timestamptz[], %(previous)s::timestamptz[],
    %(muted_before)s::boolean[], %(muted)s::boolean[])
    AS r(check_name, number, seen_at, previous, muted_before, muted)"""

# Anomalies acknowledged at the time of the previous run of the check. The index reads an array of keys without a join.
_ACKNOWLEDGED_BEFORE: Final = f"""
SELECT a.id FROM consistency_anomaly a JOIN {RUNS} ON r.check_name = a.check_name
WHERE a.database = %(database)s AND a.id = ANY (ARRAY(
        SELECT anomaly_id FROM consistency_anomalyevent WHERE kind IN ('acknowledged', 'acknowledgement_ended')))
    AND (SELECT e.kind FROM consistency_anomalyevent e
        WHERE e.anomaly_id = a.id AND e.kind IN ('acknowledged', 'acknowledgement_ended') AND e.at <= r.previous
        ORDER BY e.id DESC LIMIT 1) = 'acknowledged'"""  # noqa: S608 - constants

END_ACKNOWLEDGEMENTS: Final = f"""
WITH over AS MATERIALIZED (
    SELECT a.id, CASE WHEN a.resolved_at IS NOT NULL THEN 'the anomaly returned'
        WHEN a.acknowledged_until <= %(now)s THEN 'the time was over' ELSE 'the detail changed' END AS text
    FROM consistency_anomaly a LEFT JOIN scan_finding f ON {_SAME}
    WHERE a.database = %(database)s AND a.check_name = ANY(%(names)s) AND a.acknowledged_until IS NOT NULL
        AND (a.resolved_at IS NULL AND a.acknowledged_until <= %(now)s
            OR f.detail IS NOT NULL AND (a.resolved_at IS NOT NULL OR a.detail <> f.detail))),
ended AS (
    UPDATE consistency_anomaly a SET acknowledged_by = NULL, acknowledged_at = NULL, acknowledged_until = NULL,
        acknowledged_reason = NULL, acknowledged_category = NULL
    WHERE a.id = ANY (ARRAY(SELECT id FROM over)))
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text, scan)
SELECT id, 'acknowledgement_ended', %(now)s, '', text, %(scan)s FROM over"""  # noqa: S608 - constants

_LOG: Final = """
logged AS (
    INSERT INTO consistency_anomalyevent (id, anomaly_id, kind, at, by, text, scan)
    SELECT event, id, '{kind}', %(at)s, '', '', %(scan)s FROM changed)"""
_EVENT_ID: Final = "nextval(pg_get_serial_sequence('consistency_anomalyevent', 'id'))"

INSERT_NEW: Final = f"""
WITH changed AS (
    INSERT INTO consistency_anomaly (database, {_COLUMNS}, first_seen, appeared_at, appeared_scan, appeared_run,
        appeared_event, returned_count, times_seen_before)
    SELECT %(database)s, {", ".join(f"f.{name}" for name in COLUMNS)}, %(at)s, %(at)s, %(scan)s, r.number,
        {_EVENT_ID}, 0, 0
    FROM scan_finding f JOIN {RUNS} ON r.check_name = f.check_name
    WHERE NOT EXISTS (SELECT FROM consistency_anomaly a WHERE {_SAME})
    ORDER BY f.check_name, f.object_type, f.object_id
    RETURNING id, check_name, appeared_event AS event),
{_LOG.format(kind="found")}
SELECT check_name, count(*) FROM changed GROUP BY check_name"""  # noqa: S608 - constants

RETURN_RESOLVED: Final = f"""
WITH changed AS (
    UPDATE consistency_anomaly a SET {_SET_CONTENT}, appeared_at = %(at)s, appeared_scan = %(scan)s,
        appeared_run = r.number, appeared_event = {_EVENT_ID}, returned_count = a.returned_count + 1,
        reviewed_at = NULL, resolved_at = NULL, resolved_event = NULL
    FROM scan_finding f JOIN {RUNS} ON r.check_name = f.check_name
    WHERE {_SAME} AND a.resolved_at IS NOT NULL
    RETURNING a.id, a.check_name, a.appeared_event AS event),
{_LOG.format(kind="returned")}
SELECT check_name, count(*) FROM changed GROUP BY check_name"""  # noqa: S608 - constants

UPDATE_CHANGED: Final = f"""
UPDATE consistency_anomaly a SET {_SET_CONTENT}
FROM scan_finding f
WHERE {_SAME} AND a.resolved_at IS NULL
    AND ({_OLD_CONTENT}) IS DISTINCT FROM ({_NEW_CONTENT})"""  # noqa: S608 - constants

_NOT_FOUND: Final = """NOT EXISTS (
    SELECT FROM scan_finding f
    WHERE (f.check_name, f.object_type, f.object_id) = (a.check_name, a.object_type, a.object_id))"""

RESOLVE_MISSING: Final = f"""
WITH changed AS (
    UPDATE consistency_anomaly a SET resolved_at = %(at)s, resolved_event = {_EVENT_ID},
        times_seen_before = a.times_seen_before + greatest(r.number - a.appeared_run, 1),
        last_seen_before = greatest(r.seen_at, a.appeared_at)
    FROM {RUNS}
    WHERE a.database = %(database)s AND a.check_name = ANY(%(names)s) AND a.check_name = r.check_name
        AND a.resolved_at IS NULL
        AND {_NOT_FOUND}
        AND NOT EXISTS (SELECT FROM scan_unconfirmed u WHERE (u.check_name, u.object_type, u.object_id)
            = (a.check_name, a.object_type, a.object_id))
    RETURNING a.id, a.check_name, a.resolved_event AS event, r.muted_before),
{_LOG.format(kind="resolved")}
SELECT check_name, count(*),
    count(*) FILTER (WHERE muted_before OR id IN ({_ACKNOWLEDGED_BEFORE}))
FROM changed GROUP BY check_name"""  # noqa: S608 - constants

_UNSUPPRESSED: Final = "NOT r.muted AND (a.acknowledged_until IS NULL OR a.acknowledged_until <= %(now)s)"

COUNT_KEPT: Final = f"""
SELECT a.check_name, count(*), count(*) FILTER (WHERE {_UNSUPPRESSED})
FROM consistency_anomaly a JOIN {RUNS} ON r.check_name = a.check_name
WHERE a.database = %(database)s AND a.check_name = ANY(%(names)s) AND a.resolved_at IS NULL
    AND {_NOT_FOUND}
GROUP BY a.check_name"""  # noqa: S608 - constants

COUNT_NO_LONGER_SUPPRESSED: Final = f"""
SELECT a.check_name, count(*)
FROM consistency_anomaly a JOIN {RUNS} ON r.check_name = a.check_name
WHERE a.database = %(database)s AND a.check_name = ANY(%(names)s) AND a.resolved_at IS NULL
    AND a.appeared_scan <> %(scan)s AND {_UNSUPPRESSED}
    AND (r.muted_before OR a.id IN ({_ACKNOWLEDGED_BEFORE}))
GROUP BY a.check_name"""  # noqa: S608 - constants

COUNT_FINDINGS: Final = (
    "SELECT check_name, count(*) FROM scan_finding WHERE check_name = ANY(%(names)s) GROUP BY check_name"
)
