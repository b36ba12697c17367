"""Serve the demo with `manage.py serve`, as in production."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from config.demo.launch import Demo, Terminated
from config.demo.process import HOST, ROOT, Program, Server, start
from config.demo.servers import get_status


def command(port: int) -> list[str]:
    """Return the command line that serves on a loopback port."""
    return [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)]


def start_web(demo: Demo) -> Server:
    """Serve on the demo's port. Return after the first round of probes. Raises ServerError."""

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=command(port),
            url=demo.url,
            log=demo.data / "web.log",
            cwd=ROOT,
            answers=lambda: get_status(port, "/health/ready") == 200,
            environment=dict(os.environ),
            death_signal=signal.SIGTERM,  # granian then ends its workers
        )

    return start(program, demo.port)


def watch(web: Server, servers: Sequence[Server], warn: Callable[[str], None]) -> bool:
    """Wait for a signal and return True, or for the end of the web server and return False.

    Warn about a database that ends, but go on: a user may kill a server to see the health endpoints react.
    """
    alive = list(servers)
    try:
        while web.running():
            for server in [server for server in alive if not server.running()]:
                alive.remove(server)
                warn(f"{server.name} (process {server.pid}) has ended. Start the demo again to restart it.")
            time.sleep(0.5)
    except Terminated:
        return True
    return False
