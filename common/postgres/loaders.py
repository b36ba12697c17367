"""Load infinite timestamps as the first and the last time of Python. psycopg raises DataError for an infinite time."""

from datetime import UTC, datetime
from typing import Final

from psycopg.abc import Buffer
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader

BOUNDS: Final = {b"infinity": datetime.max, b"-infinity": datetime.min}  # noqa: DTZ901 - the loaders add the zone


class BoundedTimestampLoader(TimestampLoader):
    """Load a timestamp without zone."""

    def load(self, data: Buffer) -> datetime:
        return BOUNDS.get(bytes(data)) or super().load(data)


class BoundedTimestamptzLoader(TimestamptzLoader):
    """Load a timestamp with zone. Django replaces the loader if `timezone` differs from the zone of the settings."""

    timezone = UTC

    def load(self, data: Buffer) -> datetime:
        # Same tzinfo as from Django's loader.
        return (BOUNDS.get(bytes(data)) or super().load(data)).replace(tzinfo=self.timezone)
