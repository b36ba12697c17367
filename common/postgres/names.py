"""Look up host names of PostgreSQL in a thread that the caller can leave: nothing interrupts getaddrinfo."""

import socket
from functools import partial
from ipaddress import ip_address
from typing import Any

from psycopg import OperationalError

from common.bounded import within


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
    answers = within(seconds, ("look up", name), partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM))
    return [str(address[0]) for *_, address in answers]
