"""The contents of the sample platform in numbers: groups of files, and the checks that each group breaks."""

from collections import Counter
from dataclasses import dataclass

MINIMUM = 50  # every group has at least one file
DEFAULT = 2_000

IDENTITIES = 250
FILES_MISSING = 3  # identities without a file
ROWS_MISSING = 1  # identities without a row
CHANGED_SCRIPTS = 3  # scripts that differ from the manifest


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files with the same state."""

    share: int
    """Files in a thousand."""
    status: str
    linked: str = ""
    """Status of the job in job_id; empty if job_id is null."""
    others: tuple[str, ...] = ()
    """Statuses of further jobs of the file."""
    dangling: bool = False
    """True if job_id names a job that does not exist."""
    findings: tuple[tuple[str, int], ...] = ()
    """Checks and numbers of findings per file."""


def _breaks(*checks: str) -> tuple[tuple[str, int], ...]:
    return tuple((check, 1) for check in checks)


GROUPS = [
    # Consistent.
    FileGroup(150, "registered"),
    FileGroup(15, "registered", linked="failed"),
    FileGroup(10, "registered", linked="pending"),
    FileGroup(12, "processing", linked="running"),
    FileGroup(8, "processing", linked="pending"),
    FileGroup(20, "completed", linked="completed", others=("failed",)),
    # The four checks of the contract, alone and in pairs.
    FileGroup(5, "processing", findings=_breaks("stale_processing", "orphaned_processing")),
    FileGroup(2, "processing", others=("running",), findings=_breaks("stale_processing")),
    FileGroup(3, "processing", dangling=True, findings=_breaks("orphaned_processing")),
    FileGroup(4, "processing", linked="failed", findings=_breaks("orphaned_processing")),
    FileGroup(4, "processing", linked="completed", findings=_breaks("orphaned_processing", "processing_job_done")),
    FileGroup(2, "processing", linked="completed", others=("pending",), findings=_breaks("processing_job_done")),
    FileGroup(8, "unregistered", findings=_breaks("unregistered_with_uuid")),
    # Further checks.
    FileGroup(1, "Processing", findings=_breaks("unknown_status")),
    FileGroup(2, "ready", linked="completed", findings=_breaks("unknown_status")),
    FileGroup(1, "registered", linked="RUNNING", findings=_breaks("unknown_status")),
    FileGroup(2, "processing", linked="running", others=("pending",), findings=(("duplicate_active_jobs", 2),)),
]
REST = FileGroup(0, "completed", linked="completed")


def composition(files: int) -> list[tuple[FileGroup, int]]:
    """Return the groups and their sizes for a platform of `files` files, at least MINIMUM."""
    parts = [(group, _part(files, group.share)) for group in GROUPS]
    return [*parts, (REST, files - sum(size for _, size in parts))]


def jobs_without_file(files: int) -> int:
    """Return the number of active jobs without a file."""
    return _part(files, 2)


def expected_counts(files: int) -> Counter[str]:
    """Return the number of findings by check in an unchanged sample platform."""
    counts = Counter(
        job_without_file=jobs_without_file(files),
        identity_file_missing=FILES_MISSING,
        identity_row_missing=ROWS_MISSING,
    )
    for group, size in composition(files):
        counts.update({check: findings * size for check, findings in group.findings})
    return counts


def _part(files: int, share: int) -> int:
    return max(1, files * share // 1000)
