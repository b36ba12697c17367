"""Load times that Python lacks, such as infinity, as the first or the last time of Python."""

from datetime import UTC, datetime

from psycopg import DataError
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader


def _bound(data: Buffer) -> datetime:
    text = bytes(data)
    return datetime.min if text.startswith(b"-") or text.endswith(b"BC") else datetime.max  # noqa: DTZ901 - see below


class BoundedTimestampLoader(TimestampLoader):
    """Load a timestamp without zone."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return _bound(data)


class BoundedTimestamptzLoader(TimestamptzLoader):
    """Load a timestamp with zone. Django replaces the loader if `timezone` differs from the zone of the settings."""

    timezone = UTC

    def load(self, data: Buffer) -> datetime:
        # Same tzinfo as from Django's loader.
        try:
            return super().load(data).replace(tzinfo=self.timezone)
        except DataError:
            return _bound(data).replace(tzinfo=self.timezone)
