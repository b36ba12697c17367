"""The environment, read loudly: each setting comes from a variable, then from a running demo, else it is an error."""

import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import psutil
import psycopg
from psycopg.conninfo import make_conninfo
from redis import ConnectionPool

ROOT: Final = Path(__file__).resolve().parent.parent
TRUE: Final = {"1", "true", "yes", "on"}
FALSE: Final = {"0", "false", "no", "off"}
MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
# libpq looks at these when it connects, which is too late.
NUMBERS: Final = ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")
TLS: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# PostgreSQL and Redis have hosts that are folders or lists, and are looked at more closely each in its own way.
LOOKED_UP: Final = ("http", "smtp")
HOST: Final = re.compile(r"[\w.:-]+", re.ASCII)


class SettingError(Exception):
    """A variable is missing or wrong: one line that names it and says what is expected."""

    def exit_with_line(self) -> int:
        """Print the line on stderr; returns the exit code of a usage error, 2."""
        sys.stderr.write(f"{self}\n")
        return 2


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
    return {str(name): str(value) for name, value in published_demo().get("environment", {}).items()}


def names() -> set[str]:
    """All variable names that are set, here or by a running demo."""
    return set(os.environ) | set(_running_demo())


def text(name: str, default: str | None = None, *, expected: str = "a text") -> str:
    """The variable's text; without a default a missing or empty one is an SettingError."""
    value = os.environ.get(name, "").strip() or _running_demo().get(name, "").strip()
    if value:
        return value
    if default is None:
        demo = "" if _running_demo() else " No demo runs in this folder."
        raise SettingError(f"{name} is not set. Expected: {expected}. See .env.example and README.md.{demo}")
    return default


def flag(name: str, default: bool) -> bool:
    """A yes or no."""
    value = text(name, "yes" if default else "no").lower()
    if value not in TRUE | FALSE:
        raise SettingError(f"{name}={value!r} is neither yes nor no. Expected: 1, true, yes, on or 0, false, no, off.")
    return value in TRUE


def count(name: str, default: int, *, least: int = 0, most: int = 1_000_000) -> int:
    """A whole number within bounds."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise SettingError(f"{name}={value!r} is not one. Expected: a whole number, {least} to {most}.")
    return int(value)


def words(
    name: str, default: str = "", *, required: bool = False, expected: str = "names, separated by commas"
) -> list[str]:
    """A list, separated by commas or spaces; one that is required holds at least one word."""
    value = text(name, None if required else default, expected=expected)
    found = [word for word in re.split(r"[\s,]+", value) if word]
    if required and not found:
        raise SettingError(f"{name}={value!r} names nothing. Expected: {expected}.")
    return found


def key(name: str) -> str:
    """A key that travels in a header, or an empty text. The message never repeats it."""
    value = text(name, "")
    if not (value.isascii() and value.isprintable()):
        raise SettingError(f"{name} has characters that no header can carry. Expected: printable ASCII alone.")
    return value


def moment(name: str) -> str:
    """A moment in UTC as it was written, or an empty text."""
    value = text(name, "")
    if value and not _is_moment(value):
        raise SettingError(f"{name}={value!r} is no moment. Expected: UTC in the form 2026-05-16T13:38:15Z.")
    return value


def _is_moment(value: str) -> bool:
    try:
        return datetime.strptime(value, MOMENT).strftime(MOMENT) == value  # noqa: DTZ007 - the Z is in the form
    except ValueError:
        return False


def url(name: str, default: str | None = None, *, schemes: tuple[str, ...], example: str) -> str:
    """A URL of one of the schemes. The message never repeats the value: it may hold a password."""
    value = text(name, default, expected=f"a URL such as {example}")
    if value and not _is_url(value, schemes):
        raise SettingError(f"{name} is not a usable URL. Expected: {' or '.join(schemes)}, such as {example}.")
    return value


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises on a port that is no number
    except ValueError:
        return False
    if parts.scheme in schemes and parts.scheme.startswith(LOOKED_UP):
        return value.isprintable() and _is_host(parts.hostname or "")
    return parts.scheme in schemes and bool(parts.netloc or parts.path)


def _is_host(name: str) -> bool:
    """Whether it could be looked up: no blank in it, no part that is empty or too long."""
    try:
        return bool(HOST.fullmatch(name.encode("idna").decode()))
    except UnicodeError:
        return False


def redis(name: str) -> str:
    """A URL for redis-py, whose options it knows; nothing is connected."""
    example = "redis://host:6379/0"
    value = url(name, schemes=("redis", "rediss", "unix"), example=example)
    path = unquote(urlsplit(value).path).strip("/")
    # redis-py takes database 0 where the path is no number.
    if not value.startswith("unix:") and path and not (path.isascii() and path.isdigit()):
        raise SettingError(f"{name} names no database by number. Expected: a number or nothing, such as {example}.")
    try:
        ConnectionPool.from_url(value).make_connection()
    except Exception:
        # Whatever it is: these words may hold the password.
        raise SettingError(
            f"{name} has an option that is unknown or has a wrong value. Expected: a URL such as {example}."
        ) from None
    return value


def check_database(name: str, settings: Mapping[str, Any]) -> None:
    """Let libpq read one entry of DATABASES that came from this variable; nothing is connected."""
    options: dict[str, Any] = settings["OPTIONS"]
    by_service = "service" in options
    if not (settings["HOST"] or by_service or options.keys() & {"host", "hostaddr"}):
        raise SettingError(f"{name} names no host. Expected: postgres://user:password@host:5432/platform.")
    if not (settings["NAME"] or by_service):
        raise SettingError(f"{name} names no database. Expected: postgres://user:password@host:5432/platform.")
    for option, value in options.items():
        _check_option(name, option, value)


def _check_option(name: str, option: str, value: Any) -> None:
    try:
        make_conninfo("", **{option: value})
    except (psycopg.Error, TypeError, ValueError):
        raise SettingError(f"{name}: {option!r} is no option. Expected: an option of libpq, or none.") from None
    if option in NUMBERS and not (str(value).isascii() and str(value).isdigit()):
        raise SettingError(f"{name}: {option} is not a number. Expected: a whole number, 0 or more.")
    if option == "sslmode" and value not in TLS:
        raise SettingError(f"{name}: {option} is unknown. Expected: one of {', '.join(TLS)}.")


def folder(name: str) -> Path | None:
    """A folder, or None when not set. Whether it exists is what the probes are for."""
    value = text(name, "")
    if value and not Path(value).is_absolute():
        raise SettingError(f"{name}={value!r} is relative. Expected: an absolute path.")
    return Path(value) if value else None


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of a few words, in any case."""
    value = text(name, default).upper()
    if value not in allowed:
        raise SettingError(f"{name}={value!r} is unknown. Expected: one of {', '.join(allowed)}.")
    return value


def pairs(name: str) -> dict[str, str]:
    """A mapping, written `name=value,name=value`."""
    found = {}
    for word in words(name):
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise SettingError(f"{name}: {word!r} is not a pair. Expected: name=value, separated by commas.")
        found[key] = value
    return found
