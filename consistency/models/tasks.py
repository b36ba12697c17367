"""Background tasks of a server process."""

from django.db import models


class BackgroundTask(models.Model):
    """A scan or a bulk action that a server process runs in a thread, with its progress."""

    title = models.TextField()
    database = models.TextField(blank=True, default="", help_text="Scanned database; empty for a bulk action.")
    by = models.TextField()
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="A task that is not updated for minutes has died with its process.")
    finished_at = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    step = models.TextField(blank=True, default="", help_text="Part of the work under way.")
    result = models.TextField(blank=True, default="")
    failed = models.BooleanField(default=False)
    reported = models.BooleanField(default=False, help_text="The person who started the task has read the result.")

    class Meta:
        ordering = ("-id",)
        default_permissions = ()

    def __str__(self) -> str:
        return self.title
