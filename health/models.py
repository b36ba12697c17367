"""Applied migrations and runtime switches, in tables shared with the media server."""

from django.db import models
from django.db.models.functions import Now


class SchemaMigration(models.Model):
    """An applied SQL migration of the media server."""

    filename = models.TextField(primary_key=True)
    applied_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "schema_migrations"
        verbose_name = "schema migration"
        ordering = ("filename",)

    def __str__(self) -> str:
        return self.filename


class RuntimeSwitch(models.Model):
    """A setting of the running platform: an administrator changes the row, the media server reads it."""

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
