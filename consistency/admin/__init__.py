"""Admin of consistency: anomalies, scans, mutes, events by people, files and jobs."""

from consistency.admin.anomalies import AnomalyAdmin
from consistency.admin.base import ViewOnlyAdmin
from consistency.admin.events import AnomalyEventAdmin
from consistency.admin.media import FileAdmin, MonitorJobAdmin
from consistency.admin.mutes import MuteAdmin
from consistency.admin.scans import ScanAdmin

__all__ = [
    "AnomalyAdmin",
    "AnomalyEventAdmin",
    "FileAdmin",
    "MonitorJobAdmin",
    "MuteAdmin",
    "ScanAdmin",
    "ViewOnlyAdmin",
]
