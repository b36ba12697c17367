"""Files and jobs for tests, and what a check says about them."""

from typing import Any

from consistency.models import File, MonitorJob
from consistency.registry import CHECKS
from consistency.scan.findings import Row, finding_values, rows


def a_job(number: int, status: str, *, of: str = "", **more: Any) -> MonitorJob:
    """A stored job."""
    return MonitorJob.objects.create(id=number, status=status, file_uuid=of, **more)


def a_file(uuid: str, status: str, *, job: int | None = None) -> File:
    """A stored file; `job` need not exist."""
    return File.objects.create(file_uuid=uuid, file_name=f"{uuid}.mp4", status=status, job_id=job)


def delete_files(**fields: Any) -> None:
    """Delete all files, or the files with these fields. A healthy file stays: no scan accepts an emptied table."""
    File.objects.filter(**fields).delete()
    File.objects.get_or_create(file_uuid="healthy", file_name="healthy.mp4", status="completed")


def finding_rows(name: str) -> list[Row]:
    """All rows that the check finds, as a report shows them."""
    check = CHECKS[name]
    return [row for query in check.queries() for row in rows(query, check, finding_values(query, check))]


def details(name: str) -> dict[str | None, str | None]:
    """What the check says, by file_uuid or by the number of the job."""
    return {row.get("object_id", row.get("file_uuid")): row["detail"] for row in finding_rows(name)}
