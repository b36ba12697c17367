"""The faults: each maker returns a context manager that makes the fault, and ends the fault afterwards."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from config.demo.process import until
from tests.faults.measure import SESSIONS, count
from tests.faults.platform import OWN_SESSIONS, Platform
from tests.faults.proxy import REFUSED, Fault

Maker = Callable[[Platform], AbstractContextManager[None]]


def proxied(dependency: str, fault: Fault) -> Maker:
    """Let the proxy of the dependency fail."""
    return lambda platform: platform.proxies[dependency].failing(fault)


@contextmanager
def paused(platform: Platform, *, name: str) -> Iterator[None]:
    """Stop the server with SIGSTOP."""
    platform.servers[name].pause()
    try:
        yield
    finally:
        platform.servers[name].resume()


@contextmanager
def paused_in_query(platform: Platform) -> Iterator[None]:
    """Let queries wait for a lock, then stop PostgreSQL. The queries go on when the server goes on."""
    with locked(platform, tables=("rest_framework_api_key_apikey", "files")):
        time.sleep(0.5)
        platform.servers["postgres"].pause()
        try:
            yield
        finally:
            platform.servers["postgres"].resume()


@contextmanager
def stopped(platform: Platform, *, name: str) -> Iterator[None]:
    """Stop the server, and start the server again."""
    with platform.proxies[name].failing(REFUSED):
        platform.servers[name].stop()
        try:
            yield
        finally:
            platform.start_server(name)


# --- PostgreSQL ------------------------------------------------------------------------------------------
@contextmanager
def locked(platform: Platform, *, tables: tuple[str, ...]) -> Iterator[None]:
    """Hold an exclusive lock on tables."""
    with platform.superuser() as connection, connection.transaction():
        for table in tables:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def statement(platform: Platform, *, begin: str, end: str, disconnect: bool = False) -> Iterator[None]:
    """Run a statement as superuser, and another statement at the end."""
    with platform.superuser() as connection:
        for sql in begin.split(";"):
            connection.execute(sql)
        if disconnect:
            _disconnect(connection)
        try:
            yield
        finally:
            for sql in end.split(";"):
                connection.execute(sql)


@contextmanager
def wrong_password(platform: Platform) -> Iterator[None]:
    """Change the password of the role, and end the sessions of the service."""
    password = platform.servers["postgres"].url.split(":")[2].partition("@")[0]
    begin, end = ("ALTER ROLE continuity PASSWORD '%s'" % text for text in ("another", password))  # noqa: UP031
    with statement(platform, begin=begin, end=end, disconnect=True):
        yield


@contextmanager
def read_only(platform: Platform) -> Iterator[None]:
    """Let every transaction begin READ ONLY."""
    begin = "ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()"
    # The superuser's own session is read-only too, except for ALTER SYSTEM.
    end = "ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()"
    with statement(platform, begin=begin, end=end):
        yield


@contextmanager
def no_slots(platform: Platform) -> Iterator[None]:
    """Occupy every slot of PostgreSQL. The sessions of the service end."""
    with ExitStack() as held, platform.superuser() as connection:
        for _ in until(15, step=0.05):
            _disconnect(connection)
            with suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(platform.other_client())
            if not count(platform, SESSIONS):
                break
        yield


def _disconnect(connection: "psycopg.Connection[Any]") -> None:
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM {OWN_SESSIONS}")


# --- Valkey ----------------------------------------------------------------------------------------------
@contextmanager
def valkey(platform: Platform, *, begin: str, end: str, disconnect: bool = False) -> Iterator[None]:
    """Send a command to Valkey, and another command at the end."""
    with platform.valkey() as client:
        send: Callable[..., Any] = client.execute_command
        send(*begin.split())
        if disconnect:
            send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try:
            yield
        finally:
            send(*end.format(password=client.connection_pool.connection_kwargs["password"]).split())


# --- Disk and names --------------------------------------------------------------------------------------
@contextmanager
def full_disk(platform: Platform, *, name: str) -> Iterator[None]:
    """Fill the disk of a server. Valkey then fails to save; PostgreSQL then fails to extend a table."""
    ballast = platform.disks[name] / "ballast"
    with ExitStack() as cleanup:
        cleanup.callback(ballast.unlink, missing_ok=True)
        if name == "redis":
            cleanup.enter_context(_saving(platform))
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"\0" * 65536):
                pass
        if name == "redis":
            with platform.valkey() as connection:
                connection.execute_command("BGSAVE")
                for _ in until(10, step=0.1):
                    if connection.info("persistence")["rdb_last_bgsave_status"] == "err":
                        break
        yield


@contextmanager
def _saving(platform: Platform) -> Iterator[None]:
    with platform.valkey() as connection:
        connection.set("ballast", "0" * 1_000_000)
        connection.config_set("save", "3600 1")
    yield
    with platform.valkey() as connection:
        connection.config_set("save", "")  # writes are allowed again
        connection.delete("ballast")


@contextmanager
def switched(platform: Platform, *, line: str) -> Iterator[None]:
    """Let names or a folder hang (site/sitecustomize.py). `{media}` is the folder of the platform."""
    platform.switch.write_text(line.format(media=platform.media))
    try:
        yield
    finally:
        platform.switch.unlink()


@contextmanager
def replaced(platform: Platform, *, path: str, make: Callable[[Path], Any]) -> Iterator[None]:
    """Put another kind of file in the place of a file of the platform."""
    place = platform.media / path
    kept = place.with_name(".kept")
    place.rename(kept)
    try:
        make(place)
        yield
    finally:
        place.unlink(missing_ok=True)
        kept.rename(place)


def fifo(path: str) -> Maker:
    """Put a FIFO that nobody writes in the place of a file."""
    return partial(replaced, path=path, make=os.mkfifo)


def endless(path: str) -> Maker:
    """Put a link to /dev/zero in the place of a file."""
    return partial(replaced, path=path, make=lambda place: place.symlink_to("/dev/zero"))


def removed(path: str) -> Maker:
    """Move a file or folder away."""
    return partial(replaced, path=path, make=lambda place: None)
