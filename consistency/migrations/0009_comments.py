"""Comments are events. A note without an event becomes a comment by the author of the last comment, or `unknown`."""

from django.db import migrations, models

COPY_NOTES = """
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text)
SELECT a.id, 'commented', coalesce(last.at, a.appeared_at), coalesce(nullif(last.by, ''), 'unknown'), a.note
FROM consistency_anomaly a LEFT JOIN LATERAL (
    SELECT e.at, e.by, e.text FROM consistency_anomalyevent e
    WHERE e.anomaly_id = a.id AND e.kind = 'commented' ORDER BY e.id DESC LIMIT 1) AS last ON TRUE
WHERE a.note <> '' AND a.note IS DISTINCT FROM last.text;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consistency", "0008_review"),
    ]

    operations = [
        migrations.RunSQL(COPY_NOTES, migrations.RunSQL.noop),
        migrations.RemoveField(
            model_name="anomaly",
            name="note",
        ),
        migrations.AddIndex(
            model_name="anomalyevent",
            index=models.Index(
                condition=models.Q(("kind", "commented")), fields=["anomaly", "-id"], name="event_comment"
            ),
        ),
        migrations.AlterField(
            model_name="anomaly",
            name="acknowledged_category",
            field=models.TextField(
                blank=True,
                choices=[
                    ("expected", "Expected"),
                    ("being_repaired", "Being repaired"),
                    ("false_alarm", "False alarm"),
                    ("later", "Later"),
                ],
                null=True,
            ),
        ),
    ]
