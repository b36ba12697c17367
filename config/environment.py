"""The environment, read loudly: each setting comes from a variable, then from a running demo, else it is an error."""

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from config.demo.running import environment as demo_environment

TRUE: Final = {"1", "true", "yes", "on"}
FALSE: Final = {"0", "false", "no", "off"}


class SettingError(Exception):
    """A variable is missing or wrong: one line that names it and says what is expected."""

    def exit_with_line(self) -> int:
        """Print the line on stderr; returns the exit code of a usage error, 2."""
        sys.stderr.write(f"{self}\n")
        return 2


@cache
def _running_demo() -> Mapping[str, str]:
    return demo_environment()


def names() -> set[str]:
    """All variable names that are set, here or by a running demo."""
    return set(os.environ) | set(_running_demo())


def text(name: str, default: str | None = None, *, expected: str = "a text") -> str:
    """The variable's text; without a default a missing or empty one is an SettingError."""
    value = os.environ.get(name, "").strip() or _running_demo().get(name, "").strip()
    if value:
        return value
    if default is None:
        raise SettingError(f"{name} is not set. Expected: {expected}. See .env.example and README.md.")
    return default


def flag(name: str, default: bool) -> bool:
    """A yes or no."""
    value = text(name, "yes" if default else "no").lower()
    if value not in TRUE | FALSE:
        raise SettingError(f"{name}={value!r} is neither yes nor no. Expected: 1, true, yes, on or 0, false, no, off.")
    return value in TRUE


def count(name: str, default: int) -> int:
    """A whole number, zero or more."""
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit():
        raise SettingError(f"{name}={value!r} is not a number. Expected: a whole number, 0 or more.")
    return int(value)


def words(
    name: str, default: str = "", *, required: bool = False, expected: str = "names, separated by commas"
) -> list[str]:
    """A list, separated by commas or spaces."""
    value = text(name, None if required else default, expected=expected)
    return [word for word in re.split(r"[\s,]+", value) if word]


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
    return parts.scheme in schemes and bool(parts.netloc or parts.path)


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
