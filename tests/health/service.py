"""The service as in production, with servers that a test can stop."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, start
from config.demo.servers import start_postgres, start_qdrant, start_valkey

# Generous, because the machine may be busy. The service promises 1 s for /health and 2 s for other requests.
SOON = 3.0
IN_TIME = 5.0
STARTS: Mapping[str, Callable[..., Server]] = {
    "postgres": partial(start_postgres, durable=False),
    "redis": start_valkey,
    "qdrant": partial(start_qdrant, api_key="hunter2"),
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Service:
    """The service as in production, with servers that a test can stop."""

    servers: dict[str, Server]
    folder: Path
    web: Server
    key: str
    said: list[str] = field(default_factory=list)

    def get(self, path: str, *, key: bool = False) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.web.port, timeout=30)
        begin = time.monotonic()
        connection.request("GET", path, headers={"X-API-Key": self.key} if key else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        self.said.append(text)
        # No answer is late, whether or not the outage is known already.
        assert time.monotonic() - begin < (IN_TIME if key else SOON), path
        return Answer(response.status, dict(response.getheaders()), json.loads(text))

    def ask(self, path: str) -> None:
        """Send a request without a limit on its duration."""
        connection = http.client.HTTPConnection(HOST, self.web.port, timeout=60)
        connection.request("GET", path, headers={"X-API-Key": self.key})
        connection.getresponse().read()
        connection.close()

    def is_ok(self) -> bool:
        return all(self.get("/health").body["status"] == "ok" for _ in range(40))  # of both workers

    def threads(self) -> int:
        return sum(process.num_threads() for process in self.web.tree())

    def restart(self, name: str) -> None:
        self.servers[name] = STARTS[name](self.folder / name, port=self.servers[name].port)


@contextmanager
def serving_in(folder: Path) -> Iterator[Service]:
    """Start the servers and the service."""
    servers = {name: launch(folder / name) for name, launch in STARTS.items()}
    environment = {name: value for name, value in os.environ.items() if name != "QDRANT_COLLECTIONS"} | {
        "DATABASE_URL": servers["postgres"].url,
        "REDIS_URL": servers["redis"].url,
        "QDRANT_URL": servers["qdrant"].url,
        "QDRANT_API_KEY": "hunter2",
        "ALLOWED_HOSTS": HOST,
        "DEMO": "1",  # plain HTTP
    }

    def manage(*words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    manage("migrate", "--verbosity", "0")
    key = manage("create_api_key", "outages").strip()

    def program(port: int) -> Program:
        return Program(
            name="The web server",
            command=serving.command(port),
            url=f"http://{HOST}:{port}",
            log=folder / "web.log",
            cwd=ROOT,
            answers=lambda: _answers(port),
            environment=environment,
            death_signal=signal.SIGTERM,
        )

    web = start(program, None)
    try:
        yield Service(servers, folder, web, key)
    finally:
        for server in (web, *servers.values()):
            server.stop()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
