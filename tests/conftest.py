"""Fixtures of all tests. The servers are in tests/servers.py."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`needs`: without the tool the test is named as not run; in CI it is mandatory and fails."""
    wanted = [tool for marker in item.iter_markers("needs") for tool in marker.args]
    if absent := [tool for tool in wanted if not shutil.which(tool)]:
        end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        end(f"not run: {', '.join(absent)} not installed")


@pytest.fixture(autouse=True)
def no_probes_left_running() -> Iterator[None]:
    """Close the connections of the probes' threads: PostgreSQL drops no database with connections."""
    yield
    from health.snapshot import snapshot

    snapshot.close()


@pytest.fixture
def left_behind() -> Callable[[], int]:
    """Return a function that counts the threads of bounded calls of this test."""
    before = set(threading.enumerate())
    return lambda: sum(thread.name == "bounded call" for thread in set(threading.enumerate()) - before)
