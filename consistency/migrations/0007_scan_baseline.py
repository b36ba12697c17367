"""A recorded scan keeps the state of the data that later scans compare with."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consistency", "0006_events_and_derived_state")]
    operations = [
        migrations.AddField(
            model_name="scan",
            name="baseline",
            field=models.JSONField(
                default=dict,
                db_default=models.Value({}, models.JSONField()),
                help_text="State of the data that later scans compare with.",
            ),
        ),
    ]
