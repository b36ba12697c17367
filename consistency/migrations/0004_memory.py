"""What review remembers: scans, anomalies and mutes, in tables of our own."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Case, Func, Value, When
from django.db.models.functions import Cast, Collate, Left


def joined(*parts):
    return Func(*parts, arg_joiner=" || ", output_field=models.TextField(), template="(%(expressions)s)")


KIND = joined(
    "check_name",
    Value("|"),
    "database",
    Value("|"),
    Cast("severity", models.TextField()),
    Value("|"),
    "state",
    Value("|"),
    Case(When(returned_count__gt=0, then=Value("back")), default=Value("")),
    Value("|"),
    Case(
        When(
            models.Q(("resolved_at__isnull", True), ("acknowledged_until__isnull", False)),
            then=Value("agreed"),
        ),
        default=Value(""),
    ),
    Value("|"),
    Case(When(assignee__isnull=False, then=Value("assigned")), default=Value("")),
)


class Migration(migrations.Migration):
    dependencies = [
        ("consistency", "0003_scan_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Anomaly",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("check_name", models.TextField(verbose_name="check")),
                ("database", models.TextField()),
                ("object_type", models.TextField()),
                ("object_id", models.TextField()),
                ("severity", models.PositiveSmallIntegerField(choices=[(1, "info"), (2, "warn"), (3, "error")])),
                ("detail", models.TextField(help_text="As it was when last seen.")),
                ("file_uuid", models.TextField(blank=True, null=True)),
                ("file_name", models.TextField(blank=True, null=True)),
                ("status", models.TextField(blank=True, null=True, verbose_name="file's status")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("new", "New"),
                            ("ongoing", "Ongoing"),
                            ("returned", "Returned"),
                            ("resolved", "Resolved"),
                        ]
                    ),
                ),
                ("first_seen", models.DateTimeField()),
                ("appeared_at", models.DateTimeField(help_text="When it was news last: first seen, or back.")),
                (
                    "appeared_scan",
                    models.BigIntegerField(help_text="Number of the scan that it was news in; that one may be pruned."),
                ),
                ("last_seen", models.DateTimeField()),
                (
                    "last_scan",
                    models.BigIntegerField(help_text="Number of the scan that saw it last; that one may be pruned."),
                ),
                ("times_seen", models.PositiveIntegerField()),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("returned_count", models.PositiveIntegerField()),
                ("acknowledged_by", models.TextField(blank=True, null=True)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_until", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_reason", models.TextField(blank=True, null=True)),
                ("assignee", models.TextField(blank=True, null=True)),
                ("note", models.TextField(blank=True, db_default="", default="")),
                (
                    "hearing",
                    models.TextField(
                        choices=[("heard", "Heard"), ("silent", "Silent"), ("again", "Again")],
                        db_default="heard",
                        default="heard",
                        help_text="When last seen.",
                    ),
                ),
                (
                    "acts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        db_default=[],
                        default=list,
                        help_text="Numbers of the lines in the admin's log that are about it and others.",
                        size=None,
                    ),
                ),
                ("kind", models.GeneratedField(db_persist=True, expression=KIND, output_field=models.TextField())),
                (
                    "assigned_kind",
                    models.GeneratedField(
                        db_persist=True,
                        expression=joined(KIND, Value("|"), "assignee"),
                        output_field=models.TextField(null=True),
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "anomalies",
                "ordering": ("-appeared_at", "-id"),
                "indexes": [
                    models.Index(fields=["kind", "-appeared_at", "-id"], name="anomaly_kind"),
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", True), _negated=True),
                        fields=["kind", "-resolved_at", "-appeared_at", "-id"],
                        name="anomaly_kind_resolved",
                    ),
                    models.Index(
                        condition=models.Q(("assigned_kind__isnull", False)),
                        fields=["assigned_kind", "-appeared_at", "-id"],
                        name="anomaly_assigned",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("assigned_kind__isnull", False), models.Q(("resolved_at__isnull", True), _negated=True)
                        ),
                        fields=["assigned_kind", "-resolved_at", "-appeared_at", "-id"],
                        name="anomaly_assigned_resolved",
                    ),
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=["check_name", "database"],
                        name="anomaly_open",
                    ),
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", True), ("acknowledged_until__isnull", False)),
                        fields=["acknowledged_until", "database", "check_name"],
                        name="anomaly_acknowledged",
                    ),
                    models.Index(fields=["appeared_scan", "appeared_at"], name="anomaly_news_of_scan"),
                    models.Index(Collate(Left("file_uuid", 100), "C"), name="anomaly_file_uuid"),
                    models.Index(Collate(Left("file_name", 100), "C"), name="anomaly_file_name"),
                    models.Index(
                        Collate(Left("object_id", 100), "C"),
                        condition=models.Q(("object_type", "file"), _negated=True),
                        name="anomaly_object_id",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("check_name", "database", "object_type", "object_id"), name="anomaly_one_per_object"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Mute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("check_name", models.TextField(verbose_name="check")),
                ("database", models.TextField(default="default")),
                ("created_at", models.DateTimeField()),
                ("by", models.TextField()),
                ("reason", models.TextField()),
                ("until", models.DateTimeField()),
                (
                    "sticky",
                    models.BooleanField(
                        default=False, help_text="Whether it holds however many there are, and when clean."
                    ),
                ),
                (
                    "mark",
                    models.BigIntegerField(
                        help_text="More findings than this end it; falls as things improve.", null=True
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "ended_because",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("time", "Time"),
                            ("clean", "Clean"),
                            ("exceeded", "Exceeded"),
                            ("replaced", "Replaced"),
                            ("unmuted", "Unmuted"),
                        ],
                        null=True,
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("database", "check_name"),
                        name="mute_one_at_a_time",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Scan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("database", models.TextField()),
                ("recorded_at", models.DateTimeField()),
                (
                    "snapshot_at",
                    models.DateTimeField(help_text="The database's time; none where it was not asked.", null=True),
                ),
                ("trigger", models.TextField(choices=[("command", "Command"), ("api", "Api"), ("admin", "Admin")])),
                ("actor", models.TextField(help_text="The OS user, the user's or the key's name.")),
                ("complete", models.BooleanField()),
                ("status", models.TextField(choices=[("ok", "ok"), ("degraded", "degraded")])),
                ("duration_ms", models.PositiveIntegerField()),
                ("affected_files", models.BigIntegerField(null=True)),
                ("new", models.PositiveIntegerField(default=0)),
                ("returned", models.PositiveIntegerField(default=0)),
                ("resolved", models.PositiveIntegerField(default=0)),
                ("ongoing", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["database", "-snapshot_at"], name="scan_newest_snapshot"),
                    models.Index(fields=["recorded_at"], name="scan_recorded_at"),
                    models.Index(fields=["database", "-id"], name="scan_of_database"),
                    models.Index(fields=["complete", "-id"], name="scan_completeness"),
                    models.Index(
                        condition=models.Q(("complete", True)), fields=["database", "-id"], name="scan_complete"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ScanCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("check_name", models.TextField(verbose_name="check")),
                ("severity", models.PositiveSmallIntegerField(choices=[(1, "info"), (2, "warn"), (3, "error")])),
                (
                    "outcome",
                    models.TextField(
                        choices=[("clean", "clean"), ("found", "found"), ("could_not_run", "could not run")]
                    ),
                ),
                ("count", models.BigIntegerField(null=True)),
                ("acknowledged", models.PositiveIntegerField(default=0)),
                ("muted", models.PositiveIntegerField(default=0)),
                ("duration_ms", models.PositiveIntegerField()),
                ("error", models.TextField(blank=True, default="")),
                (
                    "doubted",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Whether two looks differed: what about, stays as it was.",
                    ),
                ),
                ("new", models.PositiveIntegerField(default=0)),
                ("returned", models.PositiveIntegerField(default=0)),
                ("resolved", models.PositiveIntegerField(default=0)),
                ("ongoing", models.PositiveIntegerField(default=0)),
                (
                    "scan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="checks", to="consistency.scan"
                    ),
                ),
                (
                    "database",
                    models.TextField(help_text="The scan's: what a check came to there is found by index."),
                ),
            ],
            options={
                "ordering": ("scan_id", "id"),
                "indexes": [
                    models.Index(fields=["check_name", "database", "-scan"], name="scancheck_trend"),
                    models.Index(
                        condition=models.Q(("count__isnull", False)),
                        fields=["check_name", "database", "-scan"],
                        name="scancheck_answered",
                    ),
                ],
            },
        ),
    ]
