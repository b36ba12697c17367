"""The models of consistency: what the media server stores, and what we remember of it."""

from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.models.media import (
    ACTIVE_JOB,
    File,
    FileQuerySet,
    FileStatus,
    JobStatus,
    MonitorJob,
    MonitorJobQuerySet,
    outside,
)

__all__ = [
    "ACTIVE_JOB",
    "Anomaly",
    "File",
    "FileQuerySet",
    "FileStatus",
    "JobStatus",
    "MonitorJob",
    "MonitorJobQuerySet",
    "Mute",
    "Scan",
    "ScanCheck",
    "outside",
]
