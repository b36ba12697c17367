"""Name server and disk of a tested process: both hang while the switch file says so.

Python imports the module at its start. Each line of the file is `names`, `missing` or a folder: names and paths in the
folder then give no answer, and names are unknown with `missing`.
"""

import builtins
import io
import os
import socket
import time
from collections.abc import Callable
from typing import Any

DOMAIN = ".platform.test"

_open, _getaddrinfo = io.open, socket.getaddrinfo


def _switches() -> list[str]:
    try:
        with _open(os.environ["FAULTS_SWITCH"]) as file:
            return file.read().splitlines()
    except (OSError, KeyError):
        return []


def _resolve(host: Any, *arguments: Any, **options: Any) -> Any:
    if not str(host).endswith(DOMAIN):
        return _getaddrinfo(host, *arguments, **options)
    while "names" in (switches := _switches()):
        time.sleep(0.05)
    if "missing" in switches:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _getaddrinfo("127.0.0.1", *arguments, **options)


def _hung(path: Any) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    text = os.fsdecode(path)
    return any(switch.startswith("/") and text.startswith(switch) for switch in _switches())


def _hanging(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        while _hung(path):
            time.sleep(0.05)
        return call(path, *arguments, **options)

    return wrapper


socket.getaddrinfo = _resolve
for _name in ("stat", "lstat", "scandir", "listdir", "open", "access"):
    setattr(os, _name, _hanging(getattr(os, _name)))
builtins.open = io.open = _hanging(_open)
