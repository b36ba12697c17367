"""The media server's files and jobs, as far as their consistency depends on them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class FileStatus(models.TextChoices):
    """The vocabulary of `files.status`; words are exact, another case is another word."""

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    PROCESSING = "processing"
    COMPLETED = "completed"


class JobStatus(models.TextChoices):
    """The vocabulary of `monitor_jobs.status`."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


ACTIVE_JOB: tuple[str, ...] = (JobStatus.PENDING.value, JobStatus.RUNNING.value)


class MonitorJobQuerySet(models.QuerySet["MonitorJob"]):
    def active(self) -> "MonitorJobQuerySet":
        """Jobs that still work on their file: pending or running."""
        return self.filter(status__in=ACTIVE_JOB)

    def completed(self) -> "MonitorJobQuerySet":
        """Jobs that ended well."""
        return self.filter(status=JobStatus.COMPLETED)


class MonitorJob(models.Model):
    """One run of the pipeline over a file. It may outlive its file, so `file_uuid` is no foreign key."""

    id = models.BigAutoField(primary_key=True)
    file_uuid = models.TextField()
    status = models.TextField(choices=JobStatus.choices, default=JobStatus.PENDING, db_default=JobStatus.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["MonitorJob"]] = MonitorJobQuerySet.as_manager()

    class Meta:
        db_table = "monitor_jobs"
        verbose_name = "monitor job"
        ordering = ("id",)
        indexes: ClassVar = [
            models.Index(fields=["file_uuid"], condition=Q(status__in=ACTIVE_JOB), name="monitor_jobs_active_file"),
            models.Index(fields=["id"], condition=Q(status__in=ACTIVE_JOB), name="monitor_jobs_active_id"),
        ]

    def __str__(self) -> str:
        return f"job {self.pk} ({self.status})"


class FileQuerySet(models.QuerySet["File"]):
    def processing(self) -> "FileQuerySet":
        """Files that claim to be in the pipeline."""
        return self.filter(status=FileStatus.PROCESSING)

    def unregistered(self) -> "FileQuerySet":
        """Files that should have no row at all."""
        return self.filter(status=FileStatus.UNREGISTERED)


class File(models.Model):
    """One media file. `file_uuid` is opaque: its length and form have changed over the years."""

    file_uuid = models.TextField(primary_key=True)
    file_name = models.TextField()
    file_path = models.TextField(blank=True, default="", db_default="")
    status = models.TextField(
        choices=FileStatus.choices, default=FileStatus.REGISTERED, db_default=FileStatus.REGISTERED
    )
    # No database constraint: a link to a job that is gone is one of the things we look for. No index of its
    # own either: the media server owns the table, and no check looks a file up by its job.
    job = models.ForeignKey(
        MonitorJob,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="files",
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager["File"]] = FileQuerySet.as_manager()

    class Meta:
        db_table = "files"
        ordering = ("file_uuid",)
        indexes: ClassVar = [
            models.Index(
                fields=["file_uuid"],
                include=["job", "file_name"],
                condition=Q(status=FileStatus.PROCESSING),
                name="files_processing",
            ),
            models.Index(
                fields=["file_uuid"],
                include=["file_name"],
                condition=Q(status=FileStatus.UNREGISTERED),
                name="files_unregistered",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name or self.file_uuid
