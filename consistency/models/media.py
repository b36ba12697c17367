"""Files and jobs of the media server."""

from typing import ClassVar

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now

from common.text import printable
from consistency.expressions import text
from consistency.registry import Columns


class FileStatus(models.TextChoices):
    """Words of `files.status`. Case matters."""

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    PROCESSING = "processing"
    COMPLETED = "completed"


class JobStatus(models.TextChoices):
    """Words of `monitor_jobs.status`."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


ACTIVE_JOB: tuple[str, ...] = (JobStatus.PENDING.value, JobStatus.RUNNING.value)


def outside_vocabulary(vocabulary: type[models.TextChoices], column: str = "status") -> Q:
    """Match rows with a status outside the vocabulary. An attached column may allow null, which is outside too."""
    return Q(**{f"{column}__isnull": True}) | ~Q(**{f"{column}__in": vocabulary.values})


class MonitorJobQuerySet(models.QuerySet["MonitorJob"]):
    def active(self) -> "MonitorJobQuerySet":
        """Return pending and running jobs."""
        return self.filter(status__in=ACTIVE_JOB)

    def completed(self) -> "MonitorJobQuerySet":
        """Return completed jobs."""
        return self.filter(status=JobStatus.COMPLETED)

    def of_file(self, file_uuid: OuterRef) -> "MonitorJobQuerySet":
        """Return the jobs of an outer query's file. Compare as text: the key types of the two tables may differ."""
        return self.alias(key=text("file_uuid")).filter(key=text(file_uuid))

    def unknown_status(self) -> "MonitorJobQuerySet":
        """Return jobs with an unknown status. Compare as text: an enum column rejects unknown words."""
        return self.alias(word=text("status")).filter(outside_vocabulary(JobStatus, "word"))


class MonitorJob(models.Model):
    """One run of the pipeline over a file. A job may outlive the file, so `file_uuid` is no foreign key."""

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
            models.Index(fields=["id"], condition=outside_vocabulary(JobStatus), name="monitor_jobs_unknown_status"),
        ]

    def __str__(self) -> str:
        return printable(f"job {self.pk} ({self.status})")

    @classmethod
    def finding_columns(cls) -> Columns:
        """Return the columns of a job finding, with the file of the job if the file exists."""
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
        """Return files in the pipeline."""
        return self.filter(status=FileStatus.PROCESSING)

    def unregistered(self) -> "FileQuerySet":
        """Return files that should have no row."""
        return self.filter(status=FileStatus.UNREGISTERED)

    def of_key(self, file_uuid: OuterRef) -> "FileQuerySet":
        """Return the file of an outer query's row, compared as text like `MonitorJobQuerySet.of_file`."""
        return self.alias(key=text("file_uuid")).filter(key=text(file_uuid))

    def unknown_status(self) -> "FileQuerySet":
        """Return files with an unknown status."""
        return self.alias(word=text("status")).filter(outside_vocabulary(FileStatus, "word"))


class File(models.Model):
    """One media file. `file_uuid` is opaque: length and form have changed over the years."""

    file_uuid = models.TextField(primary_key=True)
    file_name = models.TextField()
    file_path = models.TextField(blank=True, default="", db_default="")
    status = models.TextField(
        choices=FileStatus.choices, default=FileStatus.REGISTERED, db_default=FileStatus.REGISTERED
    )
    # No database constraint: checks look for links to deleted jobs. No index: the media server owns the table, and
    # no check looks up a file by job.
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
            models.Index(fields=["file_uuid"], condition=outside_vocabulary(FileStatus), name="files_unknown_status"),
        ]

    def __str__(self) -> str:
        return printable(self.file_name or str(self.file_uuid))

    @classmethod
    def finding_columns(cls) -> Columns:
        """Return the columns of a file finding."""
        return Columns(
            object_type="file",
            object_id=text("file_uuid"),
            file_uuid=text("file_uuid"),
            file_name=text("file_name"),
            status=text("status"),
        )
