"""CPU and memory: plausible on this host, and relative to the limits of a container if those are lower."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from health.probes import resources
from health.probes.cgroups import Limits
from health.probes.resources import MEBIBYTE, Sampler, measure_resources

NO_GROUPS = Limits(root=Path("/nowhere"), membership=Path("/nowhere"))


def groups(root: Path, membership: str, files: dict[str, str]) -> Limits:
    """Write control groups in the kernel's format."""
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "self").write_text(membership)
    return Limits(root=root / "cgroup", membership=root / "self")


def test_the_first_measurement_has_values() -> None:
    found = measure_resources(Sampler(NO_GROUPS))
    assert 0 <= found["cpu_used_percent"] <= 100
    assert 0 < found["memory_used_percent"] < 100
    assert 0 < found["memory_available_mb"] <= psutil.virtual_memory().total // MEBIBYTE
    assert isinstance(found["memory_available_mb"], int)


def test_a_busy_processor_is_measured() -> None:
    sampler = Sampler(NO_GROUPS)
    sampler.cpu_used_percent()
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass
    assert sampler.cpu_used_percent() > 50 / (psutil.cpu_count() or 1)


def test_it_is_the_same_from_any_thread() -> None:
    """psutil's own percentage starts at zero in each new thread."""
    sampler = Sampler(NO_GROUPS)
    sampler.cpu_used_percent()
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass
    found: list[float] = []
    other = threading.Thread(target=lambda: found.append(sampler.cpu_used_percent()))
    other.start()
    other.join()
    assert found[0] > 0


def test_a_measurement_after_a_long_pause_is_no_average_of_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(NO_GROUPS)
    used = iter([100.0, 100.0, 700.0, 700.0])
    monkeypatch.setattr(Sampler, "_used_seconds", lambda self: next(used))
    sampler.cpu_used_percent()
    monkeypatch.setattr(resources, "MAX_INTERVAL", 0.0)
    assert sampler.cpu_used_percent() == 0.0


V2 = "0::/pod/container\n"


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        (V2, {"pod/container/cpu.max": "50000 100000"}, 0.5),
        (V2, {"pod/container/cpu.max": "max 100000", "pod/cpu.max": "150000 100000"}, 1.5),
        (V2, {"cpu.max": "25000 100000"}, 0.25),
        (V2, {"pod/container/cpu.max": "max 100000"}, None),
        (V2, {}, None),
    ],
)
def test_the_tightest_quota_counts(tmp_path: Path, membership: str, files: dict[str, str], cores: float | None) -> None:
    assert groups(tmp_path, membership, files).cores() == cores


@pytest.mark.parametrize(
    ("membership", "files", "memory"),
    [
        (
            V2,
            {
                "pod/container/memory.max": "1000",
                "pod/container/memory.current": "600",
                "pod/container/memory.stat": "anon 1\ninactive_file 100\n",
                "pod/memory.max": "5000",
                "pod/memory.current": "700",
            },
            (1000, 500),
        ),
        (V2, {"pod/container/memory.max": "max", "pod/container/memory.current": "600"}, None),
    ],
)
def test_the_tightest_memory_limit_counts(
    tmp_path: Path, membership: str, files: dict[str, str], memory: tuple[int, int] | None
) -> None:
    assert groups(tmp_path, membership, files).memory() == memory


def test_processor_time_is_the_groups_own(tmp_path: Path) -> None:
    limits = groups(tmp_path, V2, {"pod/container/cpu.stat": "usage_usec 2500000\nuser_usec 1\n"})
    assert limits.cpu_seconds() == 2.5


def test_inside_a_container_its_limits_are_the_whole(tmp_path: Path) -> None:
    limits = groups(
        tmp_path,
        V2,
        {
            "pod/container/cpu.max": "10000 100000",
            "pod/container/cpu.stat": "usage_usec 1000000\n",
            "pod/container/memory.max": str(100 * MEBIBYTE),
            "pod/container/memory.current": str(75 * MEBIBYTE),
        },
    )
    sampler = Sampler(limits)
    sampler.cpu_used_percent()
    time.sleep(0.2)
    # A tenth of a processor: 1 s of work since the last measurement is far more than the quota.
    (tmp_path / "cgroup/pod/container/cpu.stat").write_text("usage_usec 2000000\n")
    assert sampler.cpu_used_percent() == 100.0
    assert sampler.memory() == (25, 75.0)


def test_a_limit_above_the_hosts_memory_is_none(tmp_path: Path) -> None:
    limits = groups(tmp_path, V2, {"memory.max": "9223372036854771712", "memory.current": "1"})
    available, _ = Sampler(limits).memory()
    assert available > 0
