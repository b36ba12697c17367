"""Table `files`, in a migration of its own: `migrate --fake-initial` adopts an existing one by itself."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [("consistency", "0001_monitor_jobs")]
    operations = [
        migrations.CreateModel(
            name="File",
            fields=[
                ("file_uuid", models.TextField(primary_key=True, serialize=False)),
                ("file_name", models.TextField()),
                ("file_path", models.TextField(blank=True, db_default="", default="")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("unregistered", "Unregistered"),
                            ("registered", "Registered"),
                            ("processing", "Processing"),
                            ("completed", "Completed"),
                        ],
                        db_default="registered",
                        default="registered",
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="files",
                        to="consistency.monitorjob",
                    ),
                ),
            ],
            options={
                "db_table": "files",
                "ordering": ("file_uuid",),
            },
        ),
    ]
