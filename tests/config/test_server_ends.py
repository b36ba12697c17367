"""The embedded servers end: paused, killed, or with their parent."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config.demo import process
from config.demo.process import ROOT, Server
from config.demo.servers import start_postgres
from tests.processes import all_gone


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a PostgreSQL that has run: a new cluster takes a second."""
    folder = tmp_path_factory.mktemp("cluster")
    start_postgres(folder, durable=False).stop()
    return folder


@pytest.mark.parametrize("kind", ["private_postgres", "private_valkey", "private_qdrant"])
def test_it_pauses_resumes_and_stops_even_when_paused(kind: str, cluster: Path, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)(data=cluster)
    server.pause()
    tree = server.tree()
    still = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}  # a child that ended just before is not reaped
    assert tree[0].status() == psutil.STATUS_STOPPED
    assert {one.status() for one in tree} <= still
    server.resume()
    assert tree[0].status() != psutil.STATUS_STOPPED
    server.pause()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 15
    assert server.process.returncode != -signal.SIGKILL  # the server had time to stop
    assert all_gone(tree)


def test_it_takes_along_children_that_have_outlived_a_server(tmp_path: Path) -> None:
    program = process.Program(
        name="A shell",
        command=["/bin/sh", "-c", "sleep 60 & echo $!"],
        url="",
        log=tmp_path / "log",
        cwd=tmp_path,
        answers=lambda: True,
    )
    server = process.spawn(program, 0)
    server.process.wait(20)
    child = psutil.Process(int(program.log.read_text()))
    server.stop()
    assert all_gone([child])


PARENT = """
import sys
from pathlib import Path
from config.demo.servers import start_postgres, start_qdrant, start_valkey
servers = [start(Path(sys.argv[1])) for start in (start_postgres, start_qdrant, start_valkey)]
for server in servers[:int(sys.argv[2])]:
    server.pause()
print(*(one.pid for server in servers for one in server.tree()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("paused", [0, 3])
def test_it_leaves_nothing_running_when_the_parent_is_killed(paused: int, cluster: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(cluster), str(paused)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        started = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(started) > 5
        parent.kill()
    assert all_gone(started)
    start_postgres(cluster).stop()
