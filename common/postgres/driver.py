"""psycopg with a `connect` that returns connections with deadlines. Django uses the module as the driver."""

from typing import Any

import psycopg

from common.postgres.connection import Connection

connect = Connection.connect


def __getattr__(name: str) -> Any:
    return getattr(psycopg, name)
