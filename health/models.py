"""What health reads from PostgreSQL: applied migrations and runtime switches, both shared with the media server."""

from django.db import models
from django.db.models.functions import Now


class SchemaMigration(models.Model):
    """One SQL migration of the media server that has been applied."""

    filename = models.TextField(primary_key=True)
    applied_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "schema_migrations"
        verbose_name = "schema migration"
        ordering = ("filename",)

    def __str__(self) -> str:
        return self.filename


class RuntimeSwitch(models.Model):
    """One toggle of the running platform, switched by an administrator and obeyed by the media server."""

    class Name(models.TextChoices):
        CACHE = "cache", "cache"
        AUTO_PIPELINE = "auto_pipeline", "auto-pipeline"
        WATCHER = "watcher", "watcher"

    name = models.TextField(primary_key=True, choices=Name.choices)
    enabled = models.BooleanField(default=False, db_default=False)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "runtime_switches"
        verbose_name = "runtime switch"
        verbose_name_plural = "runtime switches"
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} is {'on' if self.enabled else 'off'}"
