"""The limits of this container, from Linux control groups (version 2 or 1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGA: Final = 1_000_000
GIGA: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the groups that `membership` names, in files below `root`. None means without limit."""

    root: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def cores(self) -> float | None:
        """Return the lowest quota of processor time, in processors."""
        return min(self._quotas(), default=None)

    def cpu_seconds(self) -> float | None:
        """Return the processor time that the group has used, in seconds."""
        for folder in self._folders(""):
            if (used := _fields(folder / "cpu.stat").get("usage_usec")) is not None:
                return used / MEGA
        for folder in self._folders("cpuacct"):
            if (used := _number(folder / "cpuacct.usage")) is not None:
                return used / GIGA
        return None

    def memory(self) -> tuple[int, int] | None:
        """Return limit and use of the group with the lowest limit, in bytes, without droppable file pages."""
        groups = [*self._memory("", "memory.max", "memory.current", "inactive_file")]
        groups += self._memory("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        return min(groups, default=None)

    def _quotas(self) -> Iterator[float]:
        for folder in self._folders(""):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period)
        for folder in self._folders("cpu"):
            allowed, length = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
            if allowed and length and allowed > 0:
                yield allowed / length

    def _memory(self, controller: str, limit: str, usage: str, droppable: str) -> Iterator[tuple[int, int]]:
        for folder in self._folders(controller):
            allowed, used = _number(folder / limit), _number(folder / usage)
            if allowed is not None and used is not None:
                yield allowed, max(0, used - _fields(folder / "memory.stat").get(droppable, 0))

    def _folders(self, controller: str) -> Iterator[Path]:
        """Yield the group's folder and its parents. Inside a container the group's folder may be the top folder."""
        for line in _text(self.membership).splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                top = self.root / controller
                folder = top / path.lstrip("/")
                parents = (parent for parent in folder.parents if parent.is_relative_to(top))
                yield from dict.fromkeys((folder, *parents, top))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.removeprefix("-").isdigit() else None


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
