"""CPU and memory of what this service may use: the host, or the container where its limits are tighter."""

from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final, TypedDict

import psutil

from health.cgroups import Limits

MEBIBYTE: Final = 1024 * 1024
SHORTEST: Final = 0.1  # seconds; the kernel counts in hundredths, so less says nothing
LONGEST: Final = 30.0  # seconds; more is history, not now


class Resources(TypedDict):
    cpu_used_percent: float
    memory_available_mb: int
    memory_used_percent: float


@dataclass(slots=True)
class Sampler:
    """Measures CPU use between two looks of its own; psutil's own memory is per thread and would start at zero."""

    limits: Limits = field(default_factory=Limits)
    _at: float = 0.0
    _busy: float = 0.0

    def cpu_used_percent(self) -> float:
        """Percent of the processors in use since the last look; where that was just now or long ago, take a new one."""
        if not SHORTEST <= monotonic() - self._at <= LONGEST:
            self._at, self._busy = monotonic(), self._used_seconds()
            sleep(SHORTEST)
        at, busy = monotonic(), self._used_seconds()
        used = (busy - self._busy) / (at - self._at) / self._cores()
        self._at, self._busy = at, busy
        return round(min(100.0, max(0.0, used * 100)), 1)

    def memory(self) -> tuple[int, float]:
        """Available mebibytes, and percent used."""
        host = psutil.virtual_memory()
        total, available = host.total, host.available
        if (own := self.limits.memory()) and own[0] < total:
            total, available = own[0], min(available, max(0, own[0] - own[1]))
        return available // MEBIBYTE, round((total - available) * 100 / total, 1)

    def _limited_cores(self) -> float | None:
        cores = self.limits.cores()
        return cores if cores and cores < (psutil.cpu_count() or 1) else None

    def _cores(self) -> float:
        return self._limited_cores() or psutil.cpu_count() or 1

    def _used_seconds(self) -> float:
        if self._limited_cores() and (used := self.limits.cpu_seconds()) is not None:
            return used
        times = psutil.cpu_times()
        return float(sum(times) - times.idle - _extra(times))


def _extra(times: object) -> float:
    """Idle by another name, and what the kernel counts twice: guests' time is in user and nice already."""
    return float(sum(getattr(times, name, 0.0) for name in ("iowait", "guest", "guest_nice")))


def measure(sampler: Sampler) -> Resources:
    """Look at both."""
    available, used = sampler.memory()
    return {
        "cpu_used_percent": sampler.cpu_used_percent(),
        "memory_available_mb": available,
        "memory_used_percent": used,
    }
