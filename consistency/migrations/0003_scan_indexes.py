"""The indexes that let a scan read only its suspects; built without blocking the media server's writes.

A role that does not own the tables fakes this migration, and the owner runs the output of `manage.py index_sql`.
The command also knows partitioned tables, for which this migration fails.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("consistency", "0002_files")]
    operations = [
        AddIndexConcurrently(
            model_name="monitorjob",
            index=models.Index(
                condition=models.Q(("status__in", ("pending", "running"))),
                fields=["file_uuid"],
                name="monitor_jobs_active_file",
            ),
        ),
        AddIndexConcurrently(
            model_name="monitorjob",
            index=models.Index(
                condition=models.Q(("status__in", ("pending", "running"))),
                fields=["id"],
                name="monitor_jobs_active_id",
            ),
        ),
        AddIndexConcurrently(
            model_name="file",
            index=models.Index(
                condition=models.Q(("status", "processing")),
                fields=["file_uuid"],
                include=("job", "file_name"),
                name="files_processing",
            ),
        ),
        AddIndexConcurrently(
            model_name="file",
            index=models.Index(
                condition=models.Q(("status", "unregistered")),
                fields=["file_uuid"],
                include=("file_name",),
                name="files_unregistered",
            ),
        ),
        AddIndexConcurrently(
            model_name="monitorjob",
            index=models.Index(
                condition=models.Q(
                    ("status__isnull", True),
                    models.Q(("status__in", ["pending", "running", "completed", "failed"]), _negated=True),
                    _connector="OR",
                ),
                fields=["id"],
                name="monitor_jobs_unknown_status",
            ),
        ),
        AddIndexConcurrently(
            model_name="file",
            index=models.Index(
                condition=models.Q(
                    ("status__isnull", True),
                    models.Q(("status__in", ["unregistered", "registered", "processing", "completed"]), _negated=True),
                    _connector="OR",
                ),
                fields=["file_uuid"],
                name="files_unknown_status",
            ),
        ),
    ]
