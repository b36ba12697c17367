"""What this container may use of its host, as the kernel's control groups (v2 or v1) tell it; Linux only."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEGA: Final = 1_000_000
KILO: Final = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Read from `root`, for the groups that `membership` (/proc/self/cgroup) names; None where there is no limit."""

    root: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")

    def cores(self) -> float | None:
        """How many processors' worth of time the tightest group may use."""
        quotas = [*self._v2_quotas(), *self._v1_quotas()]
        return min(quotas, default=None)

    def cpu_seconds(self) -> float | None:
        """Processor time that the group has used, in seconds."""
        for folder in self._folders(""):
            if (used := _fields(folder / "cpu.stat").get("usage_usec")) is not None:
                return used / MEGA
        for folder in self._folders("cpuacct"):
            if (used := _number(folder / "cpuacct.usage")) is not None:
                return used / MEGA / KILO
        return None

    def memory(self) -> tuple[int, int] | None:
        """Limit and use in bytes of the tightest group; file pages that can be dropped at once are not in use."""
        found = [*self._memory("", "memory.max", "memory.current", "inactive_file")]
        found += self._memory("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        return min(found, default=None)

    def _v2_quotas(self) -> Iterator[float]:
        for folder in self._folders(""):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period)

    def _v1_quotas(self) -> Iterator[float]:
        for folder in self._folders("cpu"):
            quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
            if quota and period and quota > 0:
                yield quota / period

    def _memory(self, controller: str, limit: str, usage: str, droppable: str) -> Iterator[tuple[int, int]]:
        for folder in self._folders(controller):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                yield most, max(0, used - _fields(folder / "memory.stat").get(droppable, 0))

    def _folders(self, controller: str) -> Iterator[Path]:
        """The group's folder and those above it; inside a container the path may be the host's, the folder the top."""
        for line in _text(self.membership).splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                top = self.root / controller
                inner = top / path.lstrip("/")
                yield from dict.fromkeys((inner, *(above for above in inner.parents if above.is_relative_to(top)), top))


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
