"""Models: the media server's files and jobs, and the history of scans."""

from consistency.models.history import Anomaly, AnomalyEvent, BackgroundTask, Mute, Scan, ScanCheck
from consistency.models.media import (
    ACTIVE_JOB,
    File,
    FileQuerySet,
    FileStatus,
    JobStatus,
    MonitorJob,
    MonitorJobQuerySet,
    outside_vocabulary,
)

__all__ = [
    "ACTIVE_JOB",
    "Anomaly",
    "AnomalyEvent",
    "BackgroundTask",
    "File",
    "FileQuerySet",
    "FileStatus",
    "JobStatus",
    "MonitorJob",
    "MonitorJobQuerySet",
    "Mute",
    "Scan",
    "ScanCheck",
    "outside_vocabulary",
]
