"""Events of anomalies, and states derived from the runs of checks: the upgrade of the history from 1.0.0.

One migration: each open anomaly keeps times_seen, last_seen and its place in the lists; acknowledgements, mutes and the
lines of the admin's log about anomalies become events.
"""

from django.db import migrations, models

# Number the runs of each check.
NUMBER_RUNS = """
UPDATE consistency_scancheck c SET run = numbered.run
FROM (SELECT id, row_number() OVER (PARTITION BY check_name, database ORDER BY scan_id) AS run
      FROM consistency_scancheck WHERE count IS NOT NULL) AS numbered
WHERE c.id = numbered.id;
"""

# Events in the order of time; the lists follow the ids of the events. A line of the admin's log names one anomaly, or
# the anomalies name the line in `acts`. The line of the acknowledgement in force is the event of its row already.
CREATE_EVENTS = """
WITH log AS (
    SELECT l.id, l.object_id, l.action_time AS at, u.username AS by, l.change_message AS text
    FROM django_admin_log l
        JOIN django_content_type t ON t.id = l.content_type_id AND t.app_label = 'consistency' AND t.model = 'anomaly'
        JOIN auth_user u ON u.id = l.user_id),
line AS (
    SELECT a.id AS anomaly, a.acknowledged_at, log.at, log.by, log.text
    FROM log JOIN consistency_anomaly a ON a.id::text = log.object_id
    UNION ALL
    SELECT a.id, a.acknowledged_at, log.at, log.by, log.text
    FROM consistency_anomaly a, unnest(a.acts) AS act JOIN log ON log.id = act WHERE a.acts <> '{}')
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text, scan)
SELECT * FROM (
    SELECT id, 'found' AS kind, first_seen AS at, '' AS by, '' AS text,
        CASE WHEN returned_count = 0 THEN appeared_scan END AS scan FROM consistency_anomaly
    UNION ALL
    SELECT id, 'returned', appeared_at, '', '', appeared_scan FROM consistency_anomaly WHERE returned_count > 0
    UNION ALL
    SELECT id, 'resolved', resolved_at, '', '', NULL FROM consistency_anomaly WHERE resolved_at IS NOT NULL
    UNION ALL
    SELECT id, 'acknowledged', acknowledged_at, acknowledged_by,
        to_char(acknowledged_until AT TIME ZONE 'UTC', '"until "YYYY-MM-DD HH24:MI" UTC: "') || acknowledged_reason,
        NULL
    FROM consistency_anomaly WHERE acknowledged_until IS NOT NULL AND acknowledged_at IS NOT NULL
    UNION ALL
    SELECT anomaly,
        CASE WHEN text LIKE '%Acknowledged until %' THEN 'acknowledged'
            WHEN text LIKE '%Acknowledgement ended%' THEN 'acknowledgement_ended'
            WHEN text LIKE '%Assigned to %' THEN 'assigned' ELSE 'commented' END,
        at, by, regexp_replace(text, '^(Acknowledged |Assigned |Note: |Acknowledgement ended(: )?)', ''), NULL
    FROM line
    WHERE text NOT LIKE '%Acknowledged until %' OR acknowledged_at IS NULL
        OR at < acknowledged_at - interval '10 seconds'
) AS events ORDER BY at, id;
"""

# 1.0.0 wrote no line when a scan ended an acknowledgement. Without this event the next scan would report a change.
END_ACKNOWLEDGEMENTS = """
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text)
SELECT anomaly_id, 'acknowledgement_ended', at, '', 'before the upgrade from 1.0.0' FROM (
    SELECT DISTINCT ON (e.anomaly_id) e.anomaly_id, e.kind, e.at
    FROM consistency_anomalyevent e JOIN consistency_anomaly a ON a.id = e.anomaly_id
    WHERE e.kind IN ('acknowledged', 'acknowledgement_ended') AND a.acknowledged_until IS NULL
    ORDER BY e.anomaly_id, e.id DESC) AS last
WHERE kind = 'acknowledged';
"""

FILL_ANOMALIES = """
ANALYZE consistency_anomalyevent, consistency_scancheck;
UPDATE consistency_anomaly a SET
    appeared_event = e.appeared_event,
    resolved_event = e.resolved_event,
    appeared_run = coalesce((
        SELECT c.run FROM consistency_scancheck c
        WHERE c.check_name = a.check_name AND c.database = a.database AND c.count IS NOT NULL
        ORDER BY c.scan_id DESC LIMIT 1), 1),
    times_seen_before = CASE WHEN a.resolved_at IS NULL THEN greatest(a.times_seen - 1, 0) ELSE a.times_seen END,
    last_seen_before = a.last_seen
FROM (SELECT anomaly_id, max(id) FILTER (WHERE kind IN ('found', 'returned')) AS appeared_event,
             max(id) FILTER (WHERE kind = 'resolved') AS resolved_event
      FROM consistency_anomalyevent GROUP BY anomaly_id) AS e
WHERE e.anomaly_id = a.id;
"""

FILL_MUTES = """
UPDATE consistency_mute m SET ended_by = u.username, ended_reason = regexp_replace(l.change_message, '^Unmuted: ', '')
FROM django_admin_log l
    JOIN django_content_type t ON t.id = l.content_type_id AND t.app_label = 'consistency' AND t.model = 'mute'
    JOIN auth_user u ON u.id = l.user_id
WHERE l.object_id = m.id::text AND l.change_message LIKE 'Unmuted%' AND m.ended_because = 'unmuted';
"""

OPEN = models.Q(("resolved_at__isnull", True))


def add(model, name, field):
    return migrations.AddField(model_name=model, name=name, field=field)


def alter(model, name, field):
    return migrations.AlterField(model_name=model, name=name, field=field)


def index(model, fields, name, condition=None):
    return migrations.AddIndex(model, models.Index(fields=fields, name=name, condition=condition))


class Migration(migrations.Migration):
    dependencies = [("consistency", "0005_review_permissions"), ("admin", "0001_initial"), ("auth", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AnomalyEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField()),
                ("at", models.DateTimeField()),
                ("by", models.TextField(blank=True, default="", help_text="Name of the person; empty for a scan.")),
                ("text", models.TextField(blank=True, default="")),
                (
                    "scan",
                    models.BigIntegerField(help_text="Number of the scan; retention may have deleted it.", null=True),
                ),
                (
                    "anomaly",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.deletion.CASCADE,
                        related_name="events",
                        to="consistency.anomaly",
                    ),
                ),
            ],
            options={"ordering": ("-id",), "default_permissions": ("view",)},
        ),
        add("scancheck", "run", models.PositiveIntegerField(null=True)),
        add("anomaly", "appeared_event", models.BigIntegerField(null=True)),
        add("anomaly", "resolved_event", models.BigIntegerField(null=True, blank=True)),
        add("anomaly", "appeared_run", models.PositiveIntegerField(null=True)),
        add("anomaly", "times_seen_before", models.PositiveIntegerField(default=0)),
        add("anomaly", "last_seen_before", models.DateTimeField(null=True)),
        add("mute", "ended_by", models.TextField(blank=True, db_default="", default="")),
        add("mute", "ended_reason", models.TextField(blank=True, db_default="", default="")),
        # Fewer indexes and no generated columns make the update of all rows faster.
        *(
            migrations.RemoveIndex("anomaly", name)
            for name in (
                "anomaly_kind",
                "anomaly_kind_resolved",
                "anomaly_assigned",
                "anomaly_assigned_resolved",
                "anomaly_open",
                "anomaly_acknowledged",
                "anomaly_news_of_scan",
            )
        ),
        migrations.RemoveIndex("scan", "scan_completeness"),
        *(migrations.RemoveField("anomaly", name) for name in ("assigned_kind", "kind")),
        migrations.RunSQL(
            [NUMBER_RUNS, CREATE_EVENTS, END_ACKNOWLEDGEMENTS, FILL_ANOMALIES, FILL_MUTES], migrations.RunSQL.noop
        ),
        migrations.CreateModel(
            name="BackgroundTask",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.TextField()),
                (
                    "database",
                    models.TextField(blank=True, default="", help_text="Scanned database; empty for a bulk action."),
                ),
                ("by", models.TextField()),
                ("started_at", models.DateTimeField()),
                (
                    "updated_at",
                    models.DateTimeField(help_text="A task that is not updated for minutes has died with its process."),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                ("done", models.PositiveIntegerField(default=0)),
                ("total", models.PositiveIntegerField(default=0)),
                ("step", models.TextField(blank=True, default="", help_text="Part of the work under way.")),
                ("result", models.TextField(blank=True, default="")),
                ("failed", models.BooleanField(default=False)),
                (
                    "reported",
                    models.BooleanField(
                        default=False, help_text="The person who started the task has read the result."
                    ),
                ),
            ],
            options={"ordering": ("-id",), "default_permissions": ()},
        ),
        migrations.AlterModelOptions(
            name="anomaly",
            options={
                "default_permissions": ("view",),
                "ordering": ("-appeared_event",),
                "permissions": (("acknowledge_anomaly", "Can acknowledge, assign and annotate anomalies"),),
                "verbose_name_plural": "anomalies",
            },
        ),
        *(
            migrations.RemoveField("anomaly", name)
            for name in ("acts", "hearing", "last_scan", "last_seen", "state", "times_seen")
        ),
        *(migrations.RemoveField("scancheck", name) for name in ("doubted",)),
        alter("anomaly", "appeared_at", models.DateTimeField(help_text="Time when last found new or returned.")),
        alter(
            "anomaly",
            "appeared_event",
            models.BigIntegerField(help_text="Id of the event found or returned: the order of lists.", unique=True),
        ),
        alter(
            "anomaly",
            "appeared_run",
            models.PositiveIntegerField(help_text="Number of the run of its check in that scan."),
        ),
        alter(
            "anomaly",
            "appeared_scan",
            models.BigIntegerField(help_text="Number of the scan that found it new or returned."),
        ),
        alter("anomaly", "detail", models.TextField(help_text="Detail when last seen.")),
        alter("anomaly", "last_seen_before", models.DateTimeField(help_text="End of the last open period.", null=True)),
        alter(
            "anomaly",
            "resolved_event",
            models.BigIntegerField(blank=True, help_text="Id of the event: the order of lists.", null=True),
        ),
        alter(
            "anomaly",
            "times_seen_before",
            models.PositiveIntegerField(default=0, help_text="Scans that saw it in earlier open periods."),
        ),
        alter(
            "anomalyevent",
            "kind",
            models.TextField(
                choices=[
                    ("found", "found"),
                    ("returned", "returned"),
                    ("resolved", "resolved"),
                    ("reviewed", "reviewed"),
                    ("acknowledged", "acknowledged"),
                    ("acknowledgement_ended", "acknowledgement ended"),
                    ("assigned", "assigned"),
                    ("commented", "commented"),
                ]
            ),
        ),
        alter(
            "mute",
            "mark",
            models.BigIntegerField(help_text="More findings end the mute. Falls as findings are resolved.", null=True),
        ),
        alter(
            "mute",
            "sticky",
            models.BooleanField(default=False, help_text="Holds for any number of findings, and while clean."),
        ),
        alter("scan", "actor", models.TextField(help_text="Name of the OS user, the user or the API key.")),
        alter(
            "scan",
            "snapshot_at",
            models.DateTimeField(help_text="Time of the database; null if the database was not read.", null=True),
        ),
        alter(
            "scancheck",
            "count",
            models.BigIntegerField(
                help_text="Open anomalies after the scan; null if the check did not run.", null=True
            ),
        ),
        alter("scancheck", "database", models.TextField(help_text="Database of the scan, repeated for the indexes.")),
        alter(
            "scancheck",
            "run",
            models.PositiveIntegerField(
                help_text="Number of this run of the check; null if it did not run.", null=True
            ),
        ),
        index("anomaly", ["-appeared_event"], "anomaly_open_appeared", OPEN),
        index("anomaly", ["check_name", "-appeared_event"], "anomaly_open_check", OPEN),
        index("anomaly", ["-resolved_event"], "anomaly_resolved", ~OPEN),
        index("anomaly", ["resolved_at"], "anomaly_resolved_at", ~OPEN),
        index("anomaly", ["appeared_scan"], "anomaly_appeared_scan"),
        index(
            "anomaly", ["acknowledged_until"], "anomaly_acknowledged", models.Q(("acknowledged_until__isnull", False))
        ),
        index("anomaly", ["assignee", "-appeared_event"], "anomaly_assigned", models.Q(("assignee__isnull", False))),
        index("anomalyevent", ["anomaly", "-id"], "event_of_anomaly"),
        index("anomalyevent", ["-id"], "event_by_person", models.Q(("by", ""), _negated=True)),
        index(
            "anomalyevent",
            ["anomaly", "-id"],
            "event_acknowledgement",
            models.Q(("kind__in", ("acknowledged", "acknowledgement_ended"))),
        ),
    ]
