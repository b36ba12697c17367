"""Read settings from environment variables, or from a running demo. A missing or wrong variable is an error."""

import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import dj_database_url
import psutil
import psycopg
from psycopg.conninfo import make_conninfo
from redis import ConnectionPool

REQUIRED: Final = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "QDRANT_URL")
ROOT: Final = Path(__file__).resolve().parent.parent
TRUE: Final = ("1", "true", "yes", "on")
FALSE: Final = ("0", "false", "no", "off")
TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
DATABASE_URL: Final = "postgres://user:password@host:5432/platform"
REDIS_URL: Final = "redis://host:6379/0"


class SettingError(Exception):
    """A variable is missing or wrong. The message is one line: the variable, the problem and the expected value."""

    def __init__(self, name: str, problem: str, expected: str) -> None:
        super().__init__(f"{name}{problem}. Expected: {expected}.")

    def exit_with_line(self) -> int:
        """Print the message on stderr. Return the exit code of a usage error, 2."""
        sys.stderr.write(f"{self}\n")
        return 2


# --- The running demo ------------------------------------------------------------------------------------
def demo_file() -> Path:
    """Return the path where a running demo publishes its environment. DEMO_FILE names another path."""
    return Path(os.environ.get("DEMO_FILE") or ROOT / "var" / "demo.json")


def published_demo() -> dict[str, Any]:
    """Return pid, start time and variables of the running demo, or an empty dict. Never raises."""
    try:
        published: dict[str, Any] = json.loads(demo_file().read_text())
        process = psutil.Process(published["pid"])
        # The start time too: a process number is used again.
        alive = process.create_time() == published["created"] and process.status() != psutil.STATUS_ZOMBIE
        return published if alive and isinstance(published["environment"], dict) else {}
    except Exception:
        return {}


@cache
def _running_demo() -> Mapping[str, str]:
    """Return the variables of the running demo, or an empty dict if the environment is complete.

    Raises SettingError if the process would connect the demo's settings to another service.
    """
    missing = [name for name in REQUIRED if name not in os.environ]
    if not missing:
        return {}
    demo = {str(name): str(value) for name, value in published_demo().get("environment", {}).items()}
    if demo and (foreign := [name for name in REQUIRED if os.environ.get(name, demo.get(name)) != demo.get(name)]):
        problem = f" is not the value of the demo that runs in this folder, and {missing[0]} is not set"
        raise SettingError(foreign[0], problem, f"all of {', '.join(REQUIRED)}; or none, to use the demo")
    return demo


# --- Variables -------------------------------------------------------------------------------------------
def text(name: str, default: str | None = None, *, expected: str = "a text") -> str:
    """Return the variable's text. Without a default, a missing or empty variable is an error."""
    value = os.environ.get(name, "").strip() or _running_demo().get(name, "").strip() or default
    if value is None:
        demo = "" if published_demo() else ". No demo runs in this folder"
        raise SettingError(name, " is not set", f"{expected}. See .env.example and docs/operate.md{demo}")
    return value


def flag(name: str, default: bool) -> bool:
    """Return a boolean."""
    value = text(name, "yes" if default else "no")
    if value.lower() not in TRUE + FALSE:
        raise SettingError(name, f"={value!r} is neither yes nor no", f"{', '.join(TRUE)} or {', '.join(FALSE)}")
    return value.lower() in TRUE


def integer(name: str, default: int, *, least: int = 0, most: int = 1_000_000) -> int:
    """Return a whole number within the bounds."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise SettingError(name, f"={value!r} is not valid", f"a whole number, {least} to {most}")
    return int(value)


def strings(
    name: str, default: str = "", *, required: bool = False, expected: str = "names, separated by commas"
) -> list[str]:
    """Return a list, separated by commas or spaces. A required list has at least one item."""
    value = text(name, None if required else default, expected=expected)
    items = [item for item in re.split(r"[\s,]+", value) if item]
    if required and not items:
        raise SettingError(name, f"={value!r} is empty", expected)
    return items


def pairs(name: str) -> dict[str, str]:
    """Return a mapping, written `name=value,name=value`."""
    items = [item.partition("=") for item in strings(name)]
    if not all(key and value for key, _, value in items):
        raise SettingError(name, " has an item that is not a pair", "name=value, separated by commas")
    return {key: value for key, _, value in items}


def header(name: str) -> str:
    """Return the text of an HTTP header, such as an API key. The message never repeats the value."""
    value = text(name, "")
    if not (value.isascii() and value.isprintable()):
        raise SettingError(name, " has characters that no HTTP header can hold", "printable ASCII alone")
    return value


def timestamp(name: str) -> str:
    """Return a time in UTC as written, or an empty text."""
    value = text(name, "")
    if value and not TIMESTAMP.fullmatch(value):
        raise SettingError(name, f"={value!r} is not a time", "UTC in the form 2026-05-16T13:38:15Z")
    return value


def folder(name: str) -> Path | None:
    """Return an absolute path, or None. A probe reports whether the folder exists."""
    value = text(name, "")
    if value and not Path(value).is_absolute():
        raise SettingError(name, f"={value!r} is relative", "an absolute path")
    return Path(value) if value else None


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed words, in upper case."""
    value = text(name, default)
    if value.upper() not in allowed:
        raise SettingError(name, f"={value!r} is unknown", f"one of {', '.join(allowed)}")
    return value.upper()


# --- URLs: a message never repeats the value, because the URL may hold a password ---------------------------
def url(name: str, default: str | None = None, *, schemes: tuple[str, ...], example: str) -> str:
    """Return a URL of one of the schemes."""
    value = text(name, default, expected=f"a URL such as {example}")
    if value and not _is_url(value, schemes):
        raise SettingError(name, " is not a usable URL", f"{' or '.join(schemes)}, such as {example}")
    return value


def urls(name: str, *, schemes: tuple[str, ...], example: str) -> dict[str, str]:
    """Return a mapping to URLs, written `name=URL,name=URL`."""
    items = pairs(name)
    for key, value in items.items():
        if not _is_url(value, schemes):
            raise SettingError(name, f" has no usable URL for {key}", f"{' or '.join(schemes)}, such as {example}")
    return items


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError if the port is not a number
    except ValueError:
        return False
    if parts.scheme not in schemes or not value.isprintable() or " " in value:
        return False
    # Hosts of PostgreSQL and Redis may be folders, in the path or in an option.
    return bool(parts.hostname) or (bool(parts.netloc or parts.path) and not parts.scheme.startswith(("http", "smtp")))


def redis_url(name: str) -> str:
    """Return a URL that redis-py understands. No connection is made."""
    value = url(name, schemes=("redis", "rediss", "unix"), example=REDIS_URL)
    try:
        ConnectionPool.from_url(value).make_connection()
    except Exception:
        # The error's text may hold the password.
        raise SettingError(name, " has an unknown option or a wrong value", f"a URL such as {REDIS_URL}") from None
    return value


def database_url(name: str) -> dict[str, Any]:
    """Return an entry of DATABASES. No connection is made."""
    value = url(name, schemes=("postgres", "postgresql"), example=DATABASE_URL)
    parsed = dj_database_url.parse(value, engine="common.postgres", conn_max_age=600, conn_health_checks=True)
    settings: dict[str, Any] = dict(parsed)
    options = settings["OPTIONS"] = {"application_name": "continuity", **settings.get("OPTIONS", {})}
    if not (settings["HOST"] or options.keys() & {"host", "hostaddr", "service"}):
        raise SettingError(name, " names no host", DATABASE_URL)
    if not (settings["NAME"] or "service" in options):
        raise SettingError(name, " names no database", DATABASE_URL)
    try:
        make_conninfo("", **options)
    except (psycopg.Error, TypeError, ValueError):
        raise SettingError(name, " has an unknown option", "options of libpq, or none") from None
    return settings


def further_databases() -> dict[str, dict[str, Any]]:
    """Return an entry of DATABASES for each variable DATABASE_URL_<ALIAS>."""
    prefix = "DATABASE_URL_"
    variables = sorted(name for name in {*os.environ, *_running_demo()} if name.startswith(prefix))
    for name in variables:
        if name.removeprefix(prefix).lower() in ("", "default"):
            raise SettingError(name, " names no further database", f"an alias after {prefix}")
    return {name.removeprefix(prefix).lower(): database_url(name) for name in variables}
