"""Fixtures of all tests. The servers are in tests/servers.py."""

import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator

import pytest

# Files of 30 seconds and more. A worker that begins such a file last runs alone.
SLOW = ("differential", "docs_demo", "outages", "demo", "review", "schemathesis", "table")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Run the slow files first. The wrapper ends after pytest-randomly has shuffled."""
    yield
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in SLOW)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`needs`: without the tool the test is named as not run; in CI it is mandatory and fails."""
    wanted = [tool for marker in item.iter_markers("needs") for tool in marker.args]
    if absent := [tool for tool in wanted if not shutil.which(tool)]:
        end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        end(f"not run: {', '.join(absent)} not installed")


@pytest.fixture(autouse=True)
def no_probes_left_running() -> Iterator[None]:
    """Close the connections of probes and requests: PostgreSQL drops no database with connections."""
    yield
    from common.postgres import pool
    from health.snapshot import snapshot

    snapshot.close()
    pool.close_idle(pool.REQUESTS)
    pool.sizes.pop(pool.REQUESTS, None)  # set by the import of config.wsgi


@pytest.fixture(autouse=True)
def no_command_ends_the_process_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a command line, a command leaves stuck threads by the end of the process, with the tests in it."""
    monkeypatch.setattr("common.commands._leave_threads", lambda code: None)


@pytest.fixture
def left_behind() -> Callable[[], int]:
    """Return a function that counts the threads of bounded calls of this test."""
    before = set(threading.enumerate())
    return lambda: sum(thread.name.startswith("bounded ") for thread in set(threading.enumerate()) - before)
