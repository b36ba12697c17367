"""Table `identities`, in a migration of its own: `migrate --fake-initial` adopts an existing one by itself."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Identity",
            fields=[
                ("uuid", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                (
                    "source",
                    models.TextField(
                        choices=[("tmdb", "TMDB"), ("merged", "merged"), ("auto", "auto")],
                        db_default="auto",
                        default="auto",
                    ),
                ),
                (
                    "metadata",
                    models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "identities",
                "db_table": "identities",
                "ordering": ("uuid",),
            },
        ),
    ]
