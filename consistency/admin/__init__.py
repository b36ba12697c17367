"""Admin of consistency."""

from consistency.admin.base import ViewOnlyAdmin
from consistency.admin.media import FileAdmin, MonitorJobAdmin

__all__ = ["FileAdmin", "MonitorJobAdmin", "ViewOnlyAdmin"]
