"""Serves the demo with granian as production does, and watches over it."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from config.demo.launch import Demo, Ended
from config.demo.process import HOST, ROOT, Program, Server, start

APPLICATION = "config.wsgi:application"
OPTIONS = ["--interface", "wsgi", "--workers", "2", "--blocking-threads", "16", "--workers-kill-timeout", "4"]
# Else the end of one worker is the end of the server.
OPTIONS += ["--respawn-failed-workers", "--respawn-interval", "1"]


def command(port: int) -> list[str]:
    """The production line, as the README has it, on a port of the loopback."""
    return [sys.executable, "-m", "granian", *OPTIONS, "--host", HOST, "--port", str(port), APPLICATION]


def start_web(demo: Demo) -> Server:
    """Serve on the demo's port; returns when the first round of probes is done. Raises ServerError."""

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=command(port),
            url=demo.url,
            log=demo.data / "web.log",
            cwd=ROOT,
            answers=lambda: _ready(port),
            environment=dict(os.environ),
            death_signal=signal.SIGTERM,  # it takes its workers along
        )

    return start(program, demo.port)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def watch(web: Server, servers: Sequence[Server], say: Callable[[str], None]) -> bool:
    """Stay until told to end (True), or until the web server ends by itself (False).

    A store that ends is only told of: to see what the health endpoints make of it may be why it was ended.
    """
    alive = list(servers)
    try:
        while web.running():
            for server in [server for server in alive if not server.running()]:
                alive.remove(server)
                say(f"{server.name} (process {server.pid}) has ended. Start the demo again to have it back.")
            time.sleep(0.5)
    except Ended:
        return True
    return False
