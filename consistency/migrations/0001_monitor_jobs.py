"""Table `monitor_jobs`, in a migration of its own: `migrate --fake-initial` adopts an existing one by itself."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="MonitorJob",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("file_uuid", models.TextField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("pending", "Pending"),
                            ("running", "Running"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        db_default="pending",
                        default="pending",
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "monitor job",
                "db_table": "monitor_jobs",
                "ordering": ("id",),
            },
        ),
    ]
