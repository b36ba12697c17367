"""A PostgreSQL of the tests' own with a standby, and what may go wrong between the two."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from config.demo import postgres
from config.demo.process import until
from config.demo.servers import Server, start_postgres

STREAMS = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)"


class Pair:
    """Both servers, as their superuser `continuity`; `reader` is the standby's address for a role that only reads."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._data, self._copy, self._stack = folder / "primary", folder / "standby", stack
        with ExitStack() as first:
            server = self._started(self._data, first)
        self._port = server.port
        self._make_primary()
        _copied(self._data, self._copy)
        (self._copy / "postgres/standby.signal").touch()
        where = {"host": "127.0.0.1", "port": self._port, "user": postgres.ROLE}
        password = (self._copy / "postgres.password").read_text()
        told = " ".join(f"{name}={value}" for name, value in (where | {"password": password}).items())
        with (self._copy / "postgres/postgresql.auto.conf").open("a") as configuration:
            configuration.write(f"primary_conninfo = '{told}'\n")
        self.start_primary()
        self.start_standby()

    def start_primary(self) -> None:
        self.primary = self._started(self._data, self._stack, port=self._port)

    def start_standby(self) -> None:
        self.standby = self._started(self._copy, self._stack)

    @property
    def reader(self) -> str:
        return urlsplit(self.standby.url)._replace(netloc=f"reader:reads@127.0.0.1:{self.standby.port}").geturl()

    def on_primary(self, statements: str) -> Any:
        """What the last of these statements answers, one value, if it does."""
        return _answer(self.primary.url, statements)

    def on_standby(self, statements: str) -> Any:
        return _answer(self.standby.url, statements)

    def received(self) -> None:
        """Wait until the standby has received all that there is."""
        self._reaches("pg_last_wal_receive_lsn()")

    def replayed(self) -> None:
        """Wait until the standby streams, and shows all that there is."""
        assert any(self.on_standby(STREAMS) for _ in until(30, step=0.05))
        self._reaches("pg_last_wal_replay_lsn()")

    def cut_off(self) -> None:
        """Wait until the standby has heard that its primary is gone."""
        assert any(not self.on_standby(STREAMS) for _ in until(30, step=0.05))

    def _reaches(self, place: str) -> None:
        there = self.on_primary("SELECT pg_current_wal_flush_lsn()")
        assert any(self.on_standby(f"SELECT {place} >= '{there}'") for _ in until(30, step=0.05))

    def _started(self, data: Path, stack: ExitStack, port: int | None = None) -> Server:
        server = start_postgres(data, port=port, durable=False)
        stack.callback(server.stop)
        return server

    def _make_primary(self) -> None:
        """What nobody who signs in over the network could do here."""
        cluster = self._data / "postgres"
        with (cluster / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        single = [str(postgres._binaries() / "postgres"), "--single", "-D", postgres._reachable(cluster), "postgres"]
        role = f"ALTER ROLE {postgres.ROLE} SUPERUSER REPLICATION\n"
        postgres._run(single, cluster, self._data / "postgres.log", stdin=role)


def _copied(data: Path, copy: Path) -> None:
    """A copy of a server that is stopped, with its owners: the folder of a cluster belongs to who runs it."""
    shutil.copytree(data, copy)
    for place in [copy, *copy.rglob("*")]:
        was = (data / place.relative_to(copy)).stat()
        os.chown(place, was.st_uid, was.st_gid)


def _answer(url: str, statements: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statements)
        while cursor.nextset():
            pass
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


@contextmanager
def standing_by(folder: Path) -> Iterator[Pair]:
    """Start them; both are gone at the end."""
    with ExitStack() as stack:
        yield Pair(folder, stack)
