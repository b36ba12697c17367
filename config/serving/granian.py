"""The command line of granian."""

import socket
import sys
from typing import Final

APPLICATION: Final = "config.asgi:application"
# A worker with a stuck thread is killed after 4 seconds. Without the last two options, the end of one worker ends the
# server.
OPTIONS = ["--interface", "asgi", "--no-ws", "--workers-kill-timeout", "4"]
# Each connection takes a place of --backpressure, 512 by default: idle clients would keep others out. An idle HTTP/2
# connection never ends.
OPTIONS += ["--backpressure", "16384", "--http", "1", "--http1-header-read-timeout", "10000"]
OPTIONS += ["--respawn-failed-workers", "--respawn-interval", "1"]


class PortError(Exception):
    """The address cannot be used. The message names the address and the reason."""


def require_free(host: str, port: int) -> None:
    """Raise PortError if the address cannot be used: granian shares a port with a running granian in silence."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as problem:
        reason = str(problem.strerror).partition(" (")[0]  # create_server() appends the address
        raise PortError(f"Port {port} on {host} cannot be used ({reason}).") from problem


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps other calls for this address out, also across exec. Raise PortError if kept out.

    granian binds the port seconds after its start.
    """
    guard = socket.socket(socket.AF_UNIX)
    guard.set_inheritable(True)
    try:
        guard.bind(f"\0continuity {host} {port}")
    except OSError as problem:
        guard.close()
        raise PortError(f"Another server starts on port {port} of {host}.") from problem
    return guard


def command(host: str, port: int, workers: int) -> list[str]:
    """Return the command line that serves Continuity."""
    address = ["--host", host, "--port", str(port), "--workers", str(workers)]
    return [sys.executable, "-m", "granian", *OPTIONS, *address, APPLICATION]
