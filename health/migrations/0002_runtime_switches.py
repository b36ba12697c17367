"""Table `runtime_switches`, in a migration of its own: `migrate --fake-initial` adopts an existing one by itself."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [("health", "0001_schema_migrations")]
    operations = [
        migrations.CreateModel(
            name="RuntimeSwitch",
            fields=[
                (
                    "name",
                    models.TextField(
                        choices=[
                            ("cache", "cache"),
                            ("auto_pipeline", "auto-pipeline"),
                            ("watcher", "watcher"),
                        ],
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("enabled", models.BooleanField(db_default=False, default=False)),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "runtime switch",
                "verbose_name_plural": "runtime switches",
                "db_table": "runtime_switches",
                "ordering": ("name",),
            },
        ),
    ]
