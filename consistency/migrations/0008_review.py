"""Review marks, causes and categories of anomalies. What a person acknowledged or assigned counts as reviewed."""

import django.db.models.functions.text
from django.db import migrations, models

MARK_REVIEWED = """
UPDATE consistency_anomaly SET reviewed_at = coalesce(acknowledged_at, now())
WHERE acknowledged_until IS NOT NULL OR assignee IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consistency", "0007_scan_baseline"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="anomaly",
            name="anomaly_open_check",
        ),
        migrations.AddField(
            model_name="anomaly",
            name="acknowledged_category",
            field=models.TextField(
                blank=True,
                choices=[
                    ("expected", "Expected"),
                    ("being_repaired", "Being Repaired"),
                    ("false_alarm", "False Alarm"),
                    ("later", "Later"),
                ],
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="anomaly",
            name="cause",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.text.Left(
                    models.Func(
                        "detail",
                        models.Value("[[:alnum:]_.:-]*[0-9][[:alnum:]_.:-]*"),
                        models.Value("_"),
                        models.Value("g"),
                        function="regexp_replace",
                        output_field=models.TextField(),
                    ),
                    200,
                ),
                help_text="The detail without its numbers: groups the anomalies of a check.",
                output_field=models.TextField(),
            ),
        ),
        migrations.AddField(
            model_name="anomaly",
            name="reviewed_at",
            field=models.DateTimeField(blank=True, help_text="Review since last found new or returned.", null=True),
        ),
        migrations.RunSQL(MARK_REVIEWED, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["-severity", "-appeared_event"],
                name="anomaly_open_severity",
            ),
        ),
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(
                condition=models.Q(("resolved_at__isnull", True), ("reviewed_at__isnull", True)),
                fields=["-severity", "-appeared_event"],
                name="anomaly_needs_review",
            ),
        ),
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["check_name", "-severity", "-appeared_event"],
                name="anomaly_open_of_check",
            ),
        ),
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(
                condition=models.Q(("resolved_at__isnull", True)),
                fields=["check_name", "cause", "-appeared_event"],
                name="anomaly_open_cause",
            ),
        ),
        migrations.AddIndex(
            model_name="anomalyevent",
            index=models.Index(
                condition=models.Q(("scan__isnull", False)), fields=["scan", "kind", "-id"], name="event_of_scan"
            ),
        ),
    ]
