"""Where a running demo publishes its environment, so that other commands find its servers by themselves."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from config.demo.process import ROOT


def place() -> Path:
    """The file; DEMO_FILE names another one, so that demos started by tests stay apart from the user's."""
    return Path(os.environ.get("DEMO_FILE") or ROOT / "var" / "demo.json")


def environment() -> dict[str, str]:
    """The variables of the demo that runs now, empty when none does. Never raises."""
    with suppress(Exception):  # a file that is half of another program's making is no demo
        return {str(name): str(value) for name, value in _published()["environment"].items()}
    return {}


def owner() -> int | None:
    """The process whose servers other commands find now, None while they find none. Never raises."""
    with suppress(Exception):
        return int(_published()["pid"])
    return None


def publish(variables: dict[str, str]) -> None:
    """Let others find this process's servers, until `withdraw` or its death, unless they find another's by now.

    Only its user can read the passwords.
    """
    me = psutil.Process()
    if owner() not in (None, me.pid):
        return
    content = {"pid": me.pid, "created": me.create_time(), "environment": variables}
    place().parent.mkdir(parents=True, exist_ok=True)
    draft = place().with_name(f"{place().name}.{me.pid}")
    with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(content, file)
    draft.replace(place())


def withdraw() -> None:
    """Take back what this process has published; another demo's stays."""
    with suppress(OSError, ValueError):
        if json.loads(place().read_text())["pid"] == os.getpid():
            place().unlink()


def _published() -> dict[str, Any]:
    """What a living demo has published, empty when none lives. May raise anything."""
    published: dict[str, Any] = json.loads(place().read_text())
    return published if _lives(published) else {}


def _lives(published: dict[str, Any]) -> bool:
    """Whether the very process that published is alive: a number alone may belong to another by now."""
    process = psutil.Process(published["pid"])
    return process.create_time() == published["created"] and process.status() != psutil.STATUS_ZOMBIE
