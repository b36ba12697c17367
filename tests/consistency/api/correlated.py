"""A large history with correlated columns, for tests of plans and benchmarks. Estimates from single columns are wrong.

One check has 95 of 100 anomalies, another all new ones. The oldest are assigned, the newest acknowledged, three of five
resolved. One check ran long ago, another is retired. After the last complete scan only one check ran, a thousand times.
"""

from django.db import connection

MANY, SCANS = 40_000, 6000
LOADED = (
    "consistency_anomaly", "consistency_anomalyevent", "consistency_scan", "consistency_scancheck", "consistency_mute"
)  # fmt: skip

SCANNED = """
INSERT INTO consistency_scan (id, database, recorded_at, snapshot_at, trigger, actor, complete, status, duration_ms,
    new, returned, resolved, ongoing)
SELECT n, CASE n %% 3 WHEN 2 THEN 'elsewhere' ELSE 'default' END, at, at, 'command', 'cron', n %% 50 <> 1, 'degraded',
    9, 0, 0, 0, 0
FROM generate_series(1, %(scans)s) n, LATERAL (SELECT now() - (%(scans)s - n) * interval '1 hour' AS at);
INSERT INTO consistency_scancheck (scan_id, database, check_name, severity, outcome, count, run, acknowledged, muted,
    duration_ms, error, new, returned, resolved, ongoing)
SELECT id, database, name, 2, 'found', CASE WHEN ran THEN 400 END, CASE WHEN ran THEN id END, 0, 0, 9, '', 9, 9, 9, 9
FROM consistency_scan, unnest(ARRAY['orphaned_processing', 'stale_processing', 'processing_job_done',
    'unregistered_with_uuid', 'job_without_file', 'rare', 'retired']) name,
    LATERAL (SELECT name <> 'job_without_file' OR id < 500 AS ran) AS outcome
WHERE name = 'orphaned_processing' OR id <= %(complete)s AND (name NOT IN ('rare', 'retired') OR id < 100);
INSERT INTO consistency_mute (database, check_name, created_at, by, reason, until, sticky)
VALUES ('default', 'unregistered_with_uuid', now(), 'ann', 'why', now() + interval '7 days', true)"""

# n grows with time. Each anomaly appeared in a scan, at the time of the scan.
FOUND = """
INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid, file_name,
    status, first_seen, appeared_at, appeared_scan, appeared_run, appeared_event, times_seen_before, returned_count,
    resolved_at, resolved_event, acknowledged_by, acknowledged_at, acknowledged_until, acknowledged_reason, assignee)
SELECT s.database, name, 'file', md5(n::text), CASE WHEN share <= 0.6 OR name = 'retired' THEN 3 ELSE 2 END,
    detail, md5(n::text), 'clip ' || n || '.mp4', 'processing', s.recorded_at - interval '1 day',
    s.recorded_at, s.id, s.id, 2 * n, gone::int, back,
    CASE WHEN gone THEN s.recorded_at + interval '3 hours' END, CASE WHEN gone THEN 2 * n + 1 END,
    CASE WHEN until IS NOT NULL THEN 'ann' END, CASE WHEN until IS NOT NULL THEN now() END, until,
    CASE WHEN until IS NOT NULL THEN 'why' END,
    CASE WHEN share BETWEEN 0.6 AND 0.7 OR n %% 777 = 0 THEN 'ann' WHEN share < 0.1 THEN 'bob' END
FROM generate_series(1, %(many)s) n, LATERAL (SELECT n::float / %(many)s AS share),
    LATERAL (SELECT CASE WHEN share <= 0.95 THEN 'stale_processing' WHEN share <= 0.97 THEN 'orphaned_processing'
        WHEN share <= 0.98 THEN 'processing_job_done' WHEN share <= 0.99 THEN 'unregistered_with_uuid'
        WHEN n %% 9 = 0 THEN 'rare' ELSE 'retired' END AS name,
    CASE WHEN share BETWEEN 0.85 AND 0.95 AND n %% 50 = 0 THEN now() - interval '1 hour'
        WHEN share BETWEEN 0.85 AND 0.95 THEN now() + interval '9 days' END AS until) AS named,
    LATERAL (SELECT CASE n %% 4 WHEN 0 THEN 'job ' || n || ' is failed' WHEN 1 THEN 'job ' || n || ' does not exist'
        WHEN 2 THEN 'job_id is null' ELSE 'status is ' || translate((n %% 400)::text, '0123456789', 'abcdefghij')
        END AS detail) AS described,
    LATERAL (SELECT share <= 0.6 AS gone,
    share > 0.6 AND (name IN ('orphaned_processing', 'processing_job_done') OR n %% 991 = 0) AS fresh,
    CASE name WHEN 'orphaned_processing' THEN %(scans)s WHEN 'rare' THEN 97 WHEN 'retired' THEN 97
        WHEN 'processing_job_done' THEN %(complete)s - 2 ELSE %(complete)s END AS last) AS condition,
    LATERAL (SELECT (name = 'processing_job_done' OR n %% 999 = 0)::int AS back,
    CASE WHEN fresh OR name IN ('rare', 'retired') THEN last
        WHEN share BETWEEN 0.7 AND 0.84 THEN %(mass)s ELSE (share * %(complete)s)::int / 3 * 3 + 1
        END AS number) AS appeared
    JOIN consistency_scan s ON s.id = number;
INSERT INTO consistency_anomalyevent (id, anomaly_id, kind, at, by, text, scan)
SELECT appeared_event, id, CASE returned_count WHEN 0 THEN 'found' ELSE 'returned' END, appeared_at, '', '',
    appeared_scan FROM consistency_anomaly
UNION ALL
SELECT resolved_event, id, 'resolved', resolved_at, '', '',
    CASE WHEN id %% 3 = 0 THEN %(mass)s ELSE appeared_scan + 3 END
    FROM consistency_anomaly WHERE resolved_at IS NOT NULL;
SELECT setval(pg_get_serial_sequence('consistency_anomalyevent', 'id'), 2 * %(many)s + 2)"""


def mass(scans: int = SCANS) -> int:
    """Return the number of the scan that found and resolved very many anomalies."""
    return scans // 6 * 3


def load(many: int = MANY, scans: int = SCANS) -> None:
    """Fill the history, and vacuum as autovacuum would. `scans` is a multiple of three."""
    about = {"many": many, "scans": scans, "complete": scans // 9 * 6 + 1, "mass": mass(scans)}
    with connection.cursor() as cursor:
        cursor.execute(SCANNED, about)
        cursor.execute(FOUND, about)
        cursor.execute(f"VACUUM ANALYZE {', '.join(LOADED)}")


def unload() -> None:
    """Empty the history."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(LOADED)}")
