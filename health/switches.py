"""The toggles of the running platform, as an administrator has set them."""

from typing import TypedDict

from health.models import RuntimeSwitch


class Switches(TypedDict):
    cache: bool | None
    auto_pipeline: bool | None
    watcher: bool | None


def read() -> Switches:
    """Every toggle; None for one that has no row."""
    rows = dict(RuntimeSwitch.objects.values_list("name", "enabled"))
    return {
        "cache": rows.get("cache"),
        "auto_pipeline": rows.get("auto_pipeline"),
        "watcher": rows.get("watcher"),
    }
