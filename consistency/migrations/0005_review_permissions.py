"""Who may see, acknowledge, mute and scan: each a permission of its own; nobody adds, changes or deletes by hand."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("consistency", "0004_memory"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="anomaly",
            options={
                "default_permissions": ("view",),
                "ordering": ("-appeared_at", "-id"),
                "permissions": (("acknowledge_anomaly", "Can acknowledge, assign and annotate anomalies"),),
                "verbose_name_plural": "anomalies",
            },
        ),
        migrations.AlterModelOptions(
            name="mute",
            options={
                "default_permissions": ("view",),
                "ordering": ("-id",),
                "permissions": (("mute_check", "Can mute and unmute checks"),),
            },
        ),
        migrations.AlterModelOptions(
            name="scan",
            options={
                "default_permissions": ("view",),
                "ordering": ("-id",),
                "permissions": (("scan_now", "Can start a scan"),),
            },
        ),
        migrations.AlterModelOptions(
            name="scancheck",
            options={"default_permissions": ("view",), "ordering": ("scan_id", "id")},
        ),
    ]
