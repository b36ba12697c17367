"""psycopg with one change, for Django to call its driver: `connect` gives connections that keep deadlines."""

from typing import Any

import psycopg

from common.postgres.connection import Connection

connect = Connection.connect


def __getattr__(name: str) -> Any:
    return getattr(psycopg, name)
