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

# Events in the order of time; the lists follow the ids of the events.
CREATE_EVENTS = """
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text, scan)
SELECT * FROM (
    SELECT id, 'found' AS kind, first_seen AS at, '' AS by, '' AS text,
        CASE WHEN returned_count = 0 THEN appeared_scan END AS scan FROM consistency_anomaly
    UNION ALL
    SELECT id, 'returned', appeared_at, '', '', appeared_scan FROM consistency_anomaly WHERE returned_count > 0
    UNION ALL
    SELECT id, 'resolved', resolved_at, '', '', NULL FROM consistency_anomaly WHERE resolved_at IS NOT NULL
    UNION ALL
    SELECT id, 'acknowledged', acknowledged_at, acknowledged_by, acknowledged_reason, NULL FROM consistency_anomaly
    WHERE acknowledged_until IS NOT NULL AND acknowledged_at IS NOT NULL
    UNION ALL
    SELECT a.id,
        CASE WHEN l.change_message LIKE 'Assigned%%' THEN 'assigned'
            WHEN l.change_message LIKE 'Acknowledgement ended%%' THEN 'acknowledgement_ended'
            WHEN l.change_message LIKE '%%Acknowledged%%' THEN 'acknowledged' ELSE 'commented' END,
        l.action_time, u.username, l.change_message, NULL
    FROM consistency_anomaly a
        JOIN django_admin_log l ON l.object_id = a.id::text OR l.id = ANY(a.acts)
        JOIN django_content_type t ON t.id = l.content_type_id AND t.app_label = 'consistency' AND t.model = 'anomaly'
        JOIN auth_user u ON u.id = l.user_id
    WHERE NOT (l.change_message LIKE '%%Acknowledged%%' AND a.acknowledged_until IS NOT NULL
        AND l.action_time >= a.acknowledged_at)
) AS events ORDER BY at, id;
"""

FILL_ANOMALIES = """
UPDATE consistency_anomaly a SET
    appeared_event = e.appeared_event,
    resolved_event = e.resolved_event,
    appeared_run = coalesce(last.run, 1),
    times_seen_before = CASE WHEN a.resolved_at IS NULL THEN greatest(a.times_seen - 1, 0) ELSE a.times_seen END,
    last_seen_before = a.last_seen
FROM (SELECT anomaly_id, max(id) FILTER (WHERE kind IN ('found', 'returned')) AS appeared_event,
             max(id) FILTER (WHERE kind = 'resolved') AS resolved_event
      FROM consistency_anomalyevent GROUP BY anomaly_id) AS e,
     consistency_anomaly b LEFT JOIN (
        SELECT check_name, database, max(run) AS run FROM consistency_scancheck GROUP BY check_name, database) AS last
     ON last.check_name = b.check_name AND last.database = b.database
WHERE e.anomaly_id = a.id AND b.id = a.id;
"""


def add(model, name, field):
    return migrations.AddField(model_name=model, name=name, field=field)


def alter(model, name, field):
    return migrations.AlterField(model_name=model, name=name, field=field)


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
        migrations.RunSQL([NUMBER_RUNS, CREATE_EVENTS, FILL_ANOMALIES], migrations.RunSQL.noop),
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
        *(migrations.RemoveIndex("scan", name) for name in ("scan_completeness",)),
        *(
            migrations.RemoveField("anomaly", name)
            for name in ("acts", "assigned_kind", "hearing", "kind", "last_scan", "last_seen", "state", "times_seen")
        ),
        *(migrations.RemoveField("scancheck", name) for name in ("doubted",)),
        add("mute", "ended_by", models.TextField(blank=True, db_default="", default="")),
        add("mute", "ended_reason", models.TextField(blank=True, db_default="", default="")),
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
        migrations.AddIndex(
            "anomaly",
            models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["-appeared_event"],
                name="anomaly_open_appeared",
            ),
        ),
        migrations.AddIndex(
            "anomaly",
            models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["check_name", "-appeared_event"],
                name="anomaly_open_check",
            ),
        ),
        migrations.AddIndex(
            "anomaly",
            models.Index(
                condition=models.Q(("resolved_at__isnull", True), _negated=True),
                fields=["-resolved_event"],
                name="anomaly_resolved",
            ),
        ),
        migrations.AddIndex("anomaly", models.Index(fields=["appeared_scan"], name="anomaly_appeared_scan")),
        migrations.AddIndex(
            "anomaly",
            models.Index(
                condition=models.Q(("acknowledged_until__isnull", False)),
                fields=["acknowledged_until"],
                name="anomaly_acknowledged",
            ),
        ),
        migrations.AddIndex(
            "anomaly",
            models.Index(
                condition=models.Q(("assignee__isnull", False)),
                fields=["assignee", "-appeared_event"],
                name="anomaly_assigned",
            ),
        ),
        migrations.AddIndex("anomalyevent", models.Index(fields=["anomaly", "-id"], name="event_of_anomaly")),
        migrations.AddIndex(
            "anomalyevent",
            models.Index(condition=models.Q(("by", ""), _negated=True), fields=["-id"], name="event_by_person"),
        ),
        migrations.AddIndex(
            "anomalyevent",
            models.Index(
                condition=models.Q(("kind__in", ("acknowledged", "acknowledgement_ended"))),
                fields=["anomaly", "-id"],
                name="event_acknowledgement",
            ),
        ),
    ]
