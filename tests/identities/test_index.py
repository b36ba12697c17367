"""The index of identities: a child process reads the index once per change."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest

from config.demo.process import ROOT, until
from identities import index
from identities.index import UNUSABLE, IdentityIndex
from tests.processes import all_gone

PATIENT = 60.0
Read = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "_index.json"


@pytest.fixture
def read(path: Path) -> Read:
    """Return a function that reads the index, and waits for the end of the reading if not told otherwise."""
    reader = IdentityIndex()
    return lambda *, limit=64, wait=PATIENT: reader.read(path, limit=limit, until=monotonic() + wait)


@pytest.fixture(params=[-1, index.SMALL], ids=["child", "same process"])
def any_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the index in a child process, like a large index, and in this process."""
    monkeypatch.setattr(index, "SMALL", request.param)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the commands of the child processes, which read every index."""
    started: list[Any] = []
    monkeypatch.setattr(index, "SMALL", -1)

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, command: Any, **options: Any) -> None:
            started.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    return started


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    "content",
    [
        {"a": {}, "\u00e9\ud800 \r": {"name": "B"}},
        {"a": 1, "\u00e9\ud800 \r": None},
        [{"uuid": "a"}, {"uuid": "\u00e9\ud800 \r", "name": ""}, {"uuid": "a"}],
    ],
)
def test_the_uuids_are_keys_of_an_object_or_members_of_a_list(path: Path, read: Read, content: Any) -> None:
    path.write_text(json.dumps(content))
    assert read() == {"a", "\u00e9\ud800 \r"}


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("content", ["{}", "[]"])
def test_an_index_may_be_empty(path: Path, read: Read, content: str) -> None:
    path.write_text(content)
    assert read() == frozenset()


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "3", '"ab"', '""', "[" * 100_000, "\x00", '{"a\\nb": {}}'),
        *('["a", "b"]', '[{"uuid": "a"}, {"name": "b"}]', '[{"uuid": 1}]', '[{"uuid": ["a"]}]'),
    ],
)
def test_a_malformed_index_is_a_problem(path: Path, read: Read, text: str) -> None:
    path.write_text(text)
    assert read() == UNUSABLE


@pytest.mark.parametrize(
    "create",
    [lambda path: path.symlink_to(path.name), Path.mkdir, os.mkfifo],
    ids=["circle", "folder", "FIFO"],
)
def test_an_index_that_is_no_file_is_a_problem(path: Path, read: Read, create: Callable[[Path], None]) -> None:
    create(path)
    assert read() == UNUSABLE


def test_a_missing_index_is_named(read: Read) -> None:
    assert read() == "there is no _index.json"


def test_the_index_is_read_once_per_change(path: Path, read: Read, children: list[Any]) -> None:
    path.write_text('{"a": 1}')
    assert [read(), read(), read()] == [{"a"}] * 3
    assert len(children) == 1
    path.write_text('{"a": 1, "b": 2}')  # another size
    assert [read(), read()] == [{"a", "b"}] * 2
    assert len(children) == 2
    os.utime(path, (1, 1))
    assert [read(), read()] == [{"a", "b"}] * 2
    assert len(children) == 3
    new = path.with_name("new")
    new.write_text('{"c": 1, "d": 2}')  # another inode
    os.utime(new, (1, 1))
    new.rename(path)
    assert [read(), read()] == [{"c", "d"}] * 2
    assert len(children) == 4


def test_a_malformed_index_is_read_once_too(path: Path, read: Read, children: list[Any]) -> None:
    path.write_text("{")
    assert [read(), read()] == [UNUSABLE] * 2
    assert len(children) == 1


def test_a_large_index_is_not_read(path: Path, read: Read, children: list[Any]) -> None:
    path.touch()
    os.truncate(path, 79_000_001)
    assert read() == "the index has 80 MB, more than IDENTITIES_INDEX_LIMIT (64 MB)"
    os.truncate(path, 1_000_000)
    assert read(limit=1) == UNUSABLE
    assert len(children) == 1


def test_a_reading_that_lasts_is_not_waited_for_and_never_started_twice(
    path: Path, read: Read, children: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, go = tmp_path / "python", tmp_path / "go"
    slow.write_text(f'#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.02; done\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    path.write_text('{"a": 1}')
    assert [read(wait=0), read(wait=0.1)] == [None, None]
    path.write_text('{"a": 1, "b": 2}')
    assert read(wait=0) is None
    assert [thread.name for thread in threading.enumerate()].count("identity index") == 1
    go.touch()
    read()
    assert len(children) == 1
    assert read() == {"a", "b"}


def test_an_index_of_40_megabytes_delays_no_caller_and_is_read_by_a_child(
    path: Path, read: Read, children: list[Any]
) -> None:
    person = {"name": "a name of average length", "source": "tmdb", "updated_at": "2026-05-18T17:30:00Z"}
    uuids = {f"{number:032x}" for number in range(320_000)}
    path.write_text(json.dumps(dict.fromkeys(uuids, person)))
    assert path.stat().st_size > 40_000_000
    assert read(wait=0) is None
    assert read() == uuids
    assert len(children) == 1


def test_a_child_that_cannot_start_is_tried_again(
    path: Path, read: Read, children: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('{"a": 1}')
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "nowhere"))
        assert read() is None
    assert read() == {"a"}


def python_that(tmp_path: Path, command: str) -> str:
    """Return the path of a Python that runs a shell command in the place of the parser."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\ncase "$*" in *process.py*) ;; *) {command} ;; esac\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_a_child_that_takes_too_long_is_tried_again(
    path: Path, read: Read, children: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('{"a": 1}')
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", python_that(tmp_path, "kill -ALRM $$"))
        assert read() is None
    assert read() == {"a"}


def test_the_child_ends_with_the_server(path: Path, tmp_path: Path) -> None:
    path.write_text(json.dumps({"a": "b" * index.SMALL}))
    waiting = f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; while :; do sleep 0.1; done"
    script = (
        "import sys; from pathlib import Path; from time import monotonic; from identities.index import IdentityIndex\n"
        "sys.executable = sys.argv[2]\n"
        "IdentityIndex().read(Path(sys.argv[1]), limit=64, until=monotonic() + 600)"
    )
    command = [sys.executable, "-c", script, str(path), python_that(tmp_path, waiting)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as server:
        assert any((tmp_path / "pid").exists() for _ in until(60))
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        server.kill()
    assert all_gone([child])


def test_a_child_that_needs_too_much_memory_ends(path: Path, read: Read, children: list[Any]) -> None:
    entry = '{"uuid":"a"}'  # 13 bytes, and over 180 bytes in memory
    path.write_text(f"[{','.join([entry] * 1_500_000)}]")
    assert read(limit=20) == UNUSABLE
