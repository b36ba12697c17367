"""Look up host names of PostgreSQL in a thread that the caller can leave: nothing interrupts getaddrinfo."""

import os
import socket
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Lock, Thread
from typing import Any, Final

from psycopg import OperationalError

_lock: Final = Lock()
# At most one thread per name, also while the name server hangs.
_running: Final[dict[str, Future[list[str]]]] = {}
os.register_at_fork(after_in_child=_running.clear)


def resolved(host: str, port: Any, seconds: float) -> dict[str, str]:
    """Return libpq's `host`, `hostaddr` and `port` with an entry per address. Raises OperationalError, TimeoutError."""
    hosts, ports = host.split(","), str(port or "").split(",")
    entries, problem = [], None
    for name, its_port in zip(hosts, ports if len(ports) > 1 else ports * len(hosts), strict=True):
        try:
            entries += [(name, address, its_port) for address in _addresses(name, seconds)]
        except socket.gaierror as error:
            problem = error
    if not entries:
        raise OperationalError(f"failed to resolve host {host!r}: {problem}")
    names, addresses, its_ports = (",".join(column) for column in zip(*entries, strict=True))
    return {"host": names, "hostaddr": addresses} | ({"port": its_ports} if port else {})


def _addresses(name: str, seconds: float) -> list[str]:
    if not name or name.startswith(("/", "@")):
        return [""]  # a socket in a folder
    try:
        return [str(ip_address(name))]
    except ValueError:
        pass
    with _lock:
        if (future := _running.get(name)) is None:
            future = _running[name] = Future()
            Thread(target=_look_up, args=(name, future), name=f"look up {name}", daemon=True).start()
    return future.result(seconds)


def _look_up(name: str, future: Future[list[str]]) -> None:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        future.set_result([str(address[0]) for *_, address in answers])
    except Exception as error:
        future.set_exception(error)
    finally:
        del _running[name]
