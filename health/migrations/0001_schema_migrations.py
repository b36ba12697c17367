"""Table `schema_migrations`, in a migration of its own: `migrate --fake-initial` adopts an existing one by itself."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="SchemaMigration",
            fields=[
                ("filename", models.TextField(primary_key=True, serialize=False)),
                ("applied_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "schema migration",
                "db_table": "schema_migrations",
                "ordering": ("filename",),
            },
        ),
    ]
