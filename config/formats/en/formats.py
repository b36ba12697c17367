"""`2026-11-25 10:54 UTC`, as `consistency.scan.formats.minute` writes it; without a zone where the value has none."""

from typing import Final

DATE_FORMAT: Final = "Y-m-d"
DATETIME_FORMAT: Final = "Y-m-d H:i e"
