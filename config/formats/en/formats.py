"""Times like `2026-11-25 10:54 UTC`, as common.times.format_minute writes them."""

from typing import Final

DATE_FORMAT: Final = "Y-m-d"
DATETIME_FORMAT: Final = "Y-m-d H:i e"
