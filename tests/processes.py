"""Wait for the end of processes."""

from collections.abc import Sequence

import psutil

from config.demo.process import until


def all_gone(processes: Sequence[psutil.Process]) -> bool:
    """Return whether the processes end within 20 seconds. A zombie has ended."""
    return any(not any(map(_lives, processes)) for _ in until(20, step=0.05))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
