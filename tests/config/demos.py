"""Start demos as processes."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from config.demo.process import ROOT, free_port, until
from tests.servers import FOREIGN

FILES = 60


def environment(folder: Path) -> dict[str, str]:
    """Return an environment without settings, and without a demo of the user."""
    clean = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    return clean | {"DEMO_FILE": str(folder / "demo.json")}


def manage(*arguments: object, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder) | variables, capture_output=True, text=True, check=False, timeout=120
    )


@dataclass
class Served:
    """A demo that serves."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @cached_property
    def address(self) -> str:
        return self._exported[0]

    @cached_property
    def key(self) -> str:
        return self._exported[1]

    @property
    def _exported(self) -> tuple[str, str]:
        (found,) = re.findall(r"^  export API=(\S+) KEY=(\S+)$", self.out, re.MULTILINE)
        return found  # type: ignore[no-any-return]  # re cannot know how many groups there are

    def tree(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def server(self, words: str) -> psutil.Process:
        """Return the child process whose command line contains `words`."""
        children = psutil.Process(self.process.pid).children()
        (found,) = [child for child in children if words in " ".join(child.cmdline())]
        return found

    def get(self, path: str, key: str = "") -> tuple[int, Any]:
        request = urllib.request.Request(self.address + path, headers={"X-API-Key": key} if key else {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)


def serve(folder: Path, *options: object) -> Served:
    """Start a demo on the folder's data, and return when the address is printed."""
    for _ in range(5):
        served = _started(folder, *options)
        # Another process may take the port while the demo starts the databases.
        if served.process.poll() is None or "is held by another program" not in served.err:
            break
    assert served.process.poll() is None, served.err
    return served


def _started(folder: Path, *options: object) -> Served:
    command = [sys.executable, "manage.py", "demo", "--data", str(folder / "data"), "--port", str(free_port())]
    command += map(str, options)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(folder), stdout=out, stderr=err)
    served = Served(folder, process)
    for _ in until(90, step=0.1):
        if "export API=" in served.out or process.poll() is not None:
            break
    return served
