"""The media server's files and jobs, as far as their consistency depends on them."""

from typing import ClassVar

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now

from common.text import printable
from consistency.expressions import text
from consistency.registry import Columns


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


def outside(vocabulary: type[models.TextChoices], column: str = "status") -> Q:
    """Rows whose status is no word of the vocabulary; null is none either, where an attached column allows it."""
    return Q(**{f"{column}__isnull": True}) | ~Q(**{f"{column}__in": vocabulary.values})


class MonitorJobQuerySet(models.QuerySet["MonitorJob"]):
    def active(self) -> "MonitorJobQuerySet":
        """Jobs that still work on their file: pending or running."""
        return self.filter(status__in=ACTIVE_JOB)

    def completed(self) -> "MonitorJobQuerySet":
        """Jobs that ended well."""
        return self.filter(status=JobStatus.COMPLETED)

    def of_file(self, file_uuid: OuterRef) -> "MonitorJobQuerySet":
        """The jobs of an outer query's file. As text: the two tables need not agree on the type of the key."""
        return self.alias(key=text("file_uuid")).filter(key=text(file_uuid))

    def unknown_status(self) -> "MonitorJobQuerySet":
        """Jobs whose status is no word of the vocabulary. As text: an enum refuses to be asked for a foreign word."""
        return self.alias(word=text("status")).filter(outside(JobStatus, "word"))


class MonitorJob(models.Model):
    """One run of the pipeline over a file. It may outlive its file, so `file_uuid` is no foreign key."""

    id = models.BigAutoField(primary_key=True)
    file_uuid = models.TextField()
    status = models.TextField(choices=JobStatus.choices, default=JobStatus.PENDING, db_default=JobStatus.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = MonitorJobQuerySet.as_manager()

    class Meta:
        db_table = "monitor_jobs"
        verbose_name = "monitor job"
        ordering = ("id",)
        indexes: ClassVar = [
            models.Index(fields=["file_uuid"], condition=Q(status__in=ACTIVE_JOB), name="monitor_jobs_active_file"),
            models.Index(fields=["id"], condition=Q(status__in=ACTIVE_JOB), name="monitor_jobs_active_id"),
            models.Index(fields=["id"], condition=outside(JobStatus), name="monitor_jobs_unknown_status"),
        ]

    def __str__(self) -> str:
        return printable(f"job {self.pk} ({self.status})")

    @classmethod
    def finding_columns(cls) -> Columns:
        """A job, with the keys of its file where that exists."""
        file = File.objects.of_key(OuterRef("file_uuid"))
        return Columns(
            object_type="job",
            object_id=text("id"),
            file_uuid=Subquery(file.values_list(text("file_uuid"))[:1]),
            file_name=Subquery(file.values_list(text("file_name"))[:1]),
            status=Subquery(file.values_list(text("status"))[:1]),
        )


class FileQuerySet(models.QuerySet["File"]):
    def processing(self) -> "FileQuerySet":
        """Files that claim to be in the pipeline."""
        return self.filter(status=FileStatus.PROCESSING)

    def unregistered(self) -> "FileQuerySet":
        """Files that should have no row at all."""
        return self.filter(status=FileStatus.UNREGISTERED)

    def of_key(self, file_uuid: OuterRef) -> "FileQuerySet":
        """The file that an outer query's row belongs to, by text as in `MonitorJobQuerySet.of_file`."""
        return self.alias(key=text("file_uuid")).filter(key=text(file_uuid))

    def unknown_status(self) -> "FileQuerySet":
        """Files whose status is no word of the vocabulary."""
        return self.alias(word=text("status")).filter(outside(FileStatus, "word"))


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

    objects = FileQuerySet.as_manager()

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
            models.Index(fields=["file_uuid"], condition=outside(FileStatus), name="files_unknown_status"),
        ]

    def __str__(self) -> str:
        return printable(self.file_name or str(self.file_uuid))

    @classmethod
    def finding_columns(cls) -> Columns:
        """A file is its own subject."""
        return Columns(
            object_type="file",
            object_id=text("file_uuid"),
            file_uuid=text("file_uuid"),
            file_name=text("file_name"),
            status=text("status"),
        )
