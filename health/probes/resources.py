"""CPU and memory in use, of the host or of the container if its limits are lower."""

from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final, TypedDict

import psutil

from health.probes.cgroups import Limits

MEBIBYTE: Final = 1024 * 1024
MIN_INTERVAL: Final = 0.1  # seconds; the kernel counts in hundredths
MAX_INTERVAL: Final = 30.0  # seconds; a longer average would hide the current use


class Resources(TypedDict):
    cpu_used_percent: float
    memory_available_mb: int
    memory_used_percent: float


@dataclass(slots=True)
class Sampler:
    """Measures CPU use between two calls, from any thread. psutil measures per thread and starts at zero."""

    limits: Limits = field(default_factory=Limits)
    _at: float = 0.0
    _busy: float = 0.0

    def cpu_used_percent(self) -> float:
        """Return the CPU use since the last call in percent; after a very short or long interval sample twice."""
        if not MIN_INTERVAL <= monotonic() - self._at <= MAX_INTERVAL:
            self._at, self._busy = monotonic(), self._used_seconds()
            sleep(MIN_INTERVAL)
        at, busy = monotonic(), self._used_seconds()
        used = (busy - self._busy) / (at - self._at) / self._cores()
        self._at, self._busy = at, busy
        return round(min(100.0, max(0.0, used * 100)), 1)

    def memory(self) -> tuple[int, float]:
        """Return the available mebibytes, and the use in percent."""
        host = psutil.virtual_memory()
        total, available = host.total, host.available
        if (group := self.limits.memory()) and group[0] < total:
            total, available = group[0], min(available, max(0, group[0] - group[1]))
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
        # Waiting for a disk is idle; the time of guests is part of user and nice already.
        not_used = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        return float(sum(times) - not_used)


def measure_resources(sampler: Sampler) -> Resources:
    """Measure CPU and memory."""
    available, used = sampler.memory()
    return {
        "cpu_used_percent": sampler.cpu_used_percent(),
        "memory_available_mb": available,
        "memory_used_percent": used,
    }
