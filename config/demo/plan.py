"""What the sample platform consists of, in numbers: every kind of file there is, and which checks each kind breaks."""

from collections import Counter
from dataclasses import dataclass

MINIMUM = 50  # files, so that every kind has at least one
DEFAULT = 2_000

IDENTITIES = 250
FILES_MISSING = 3  # identities without a file
ROWS_MISSING = 1  # identities without a row
CHANGED_SCRIPTS = 3  # scripts that differ from the manifest


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: how many in a thousand, what its row says, what jobs it has, what breaks which check."""

    share: int
    status: str
    linked: str = ""
    """The status of the job that job_id names; empty: null."""
    others: tuple[str, ...] = ()
    """The statuses of further jobs of the same file."""
    dangling: bool = False
    """Whether job_id names a job that does not exist."""
    breaks: tuple[tuple[str, int], ...] = ()
    """Check and number of findings, for each file."""


def _breaks(*checks: str) -> tuple[tuple[str, int], ...]:
    return tuple((check, 1) for check in checks)


KINDS = [
    # As it should be.
    Kind(150, "registered"),
    Kind(15, "registered", linked="failed"),
    Kind(10, "registered", linked="pending"),
    Kind(12, "processing", linked="running"),
    Kind(8, "processing", linked="pending"),
    Kind(20, "completed", linked="completed", others=("failed",)),
    # The contract's four checks, each alone and together where one file breaks two.
    Kind(5, "processing", breaks=_breaks("stale_processing", "orphaned_processing")),
    Kind(2, "processing", others=("running",), breaks=_breaks("stale_processing")),
    Kind(3, "processing", dangling=True, breaks=_breaks("orphaned_processing")),
    Kind(4, "processing", linked="failed", breaks=_breaks("orphaned_processing")),
    Kind(4, "processing", linked="completed", breaks=_breaks("orphaned_processing", "processing_job_done")),
    Kind(2, "processing", linked="completed", others=("pending",), breaks=_breaks("processing_job_done")),
    Kind(8, "unregistered", breaks=_breaks("unregistered_with_uuid")),
    # Further checks.
    Kind(1, "Processing", breaks=_breaks("unknown_status")),
    Kind(2, "ready", linked="completed", breaks=_breaks("unknown_status")),
    Kind(1, "registered", linked="RUNNING", breaks=_breaks("unknown_status")),
    Kind(2, "processing", linked="running", others=("pending",), breaks=(("duplicate_active_jobs", 2),)),
]
REST = Kind(0, "completed", linked="completed")


def composition(files: int) -> list[tuple[Kind, int]]:
    """How many files of each kind make up `files`, of which there must be MINIMUM."""
    parts = [(kind, _part(files, kind.share)) for kind in KINDS]
    return [*parts, (REST, files - sum(count for _, count in parts))]


def jobs_without_file(files: int) -> int:
    """How many active jobs have lost their file."""
    return _part(files, 2)


def expected(files: int) -> Counter[str]:
    """What the scan of an untouched sample platform finds, by check."""
    found = Counter(
        job_without_file=jobs_without_file(files),
        identity_file_missing=FILES_MISSING,
        identity_row_missing=ROWS_MISSING,
    )
    for kind, count in composition(files):
        found.update({check: findings * count for check, findings in kind.breaks})
    return found


def _part(files: int, share: int) -> int:
    return max(1, files * share // 1000)
