"""The limits of this container, from Linux control groups (version 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGA: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the group that `membership` names and of the parents below `root`. None means without limit."""

    root: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def cores(self) -> float | None:
        """Return the lowest quota of processor time, in processors."""
        quotas = (_text(folder / "cpu.max").partition(" ") for folder in self._folders())
        return min((int(quota) / int(period) for quota, _, period in quotas if quota.isdigit()), default=None)

    def cpu_seconds(self) -> float | None:
        """Return the processor time that the group has used, in seconds."""
        used = (_field(folder / "cpu.stat", "usage_usec") for folder in self._folders())
        return next((microseconds / MEGA for microseconds in used if microseconds is not None), None)

    def memory(self) -> tuple[int, int] | None:
        """Return limit and use of the group with the lowest limit, in bytes, without droppable file pages."""
        groups = []
        for folder in self._folders():
            limit, used = _text(folder / "memory.max"), _text(folder / "memory.current")
            if limit.isdigit() and used.isdigit():
                droppable = _field(folder / "memory.stat", "inactive_file") or 0
                groups.append((int(limit), max(0, int(used) - droppable)))
        return min(groups, default=None)

    def _folders(self) -> Iterator[Path]:
        """Yield the group's folder and its parents. Inside a container the group's folder may be the top folder."""
        for line in _text(self.membership).splitlines():
            if line.startswith("0::/"):
                folder = self.root / line.removeprefix("0::/")
                yield from (parent for parent in (folder, *folder.parents) if parent.is_relative_to(self.root))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _field(path: Path, name: str) -> int | None:
    pairs = (line.split() for line in _text(path).splitlines())
    return next((int(pair[1]) for pair in pairs if pair[0] == name), None)
