"""The admin of consistency: the media server's rows to look at, and review, where people act."""

from consistency.admin.anomalies import AnomalyAdmin
from consistency.admin.base import ViewOnlyAdmin
from consistency.admin.logged import LogEntryAdmin
from consistency.admin.media import FileAdmin, MonitorJobAdmin
from consistency.admin.mutes import MuteAdmin
from consistency.admin.scans import ScanAdmin

__all__ = ["AnomalyAdmin", "FileAdmin", "LogEntryAdmin", "MonitorJobAdmin", "MuteAdmin", "ScanAdmin", "ViewOnlyAdmin"]
