"""Publish the environment of a running demo, so that other commands of this checkout use its servers."""

import json
import os
from contextlib import suppress

import psutil

from config.environment import demo_file, published_demo


def owner() -> int | None:
    """Return the process id of the demo that other commands use now."""
    return published_demo().get("pid")


def publish(variables: dict[str, str]) -> None:
    """Publish the variables of this process, unless another demo is running. Only the user can read the file."""
    me = psutil.Process()
    if owner() not in (None, me.pid):
        return
    content = {"pid": me.pid, "created": me.create_time(), "environment": variables}
    demo_file().parent.mkdir(parents=True, exist_ok=True)
    draft = demo_file().with_name(f"{demo_file().name}.{me.pid}")
    with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(content, file)
    draft.replace(demo_file())


def withdraw() -> None:
    """Remove the file if this process has written it."""
    with suppress(OSError):
        if owner() == os.getpid():
            demo_file().unlink()
