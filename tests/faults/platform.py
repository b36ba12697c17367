"""A platform for one run: real servers behind proxies, folders, and the service as in production."""

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from config.demo import serving
from config.demo.process import HOST, ROOT, Program, Server, start
from config.demo.servers import get_status, start_postgres, start_qdrant, start_valkey
from tests.faults.proxy import Proxy
from tests.faults.site.sitecustomize import DOMAIN
from tests.faults.stand_ins import SFTPGO, TMDB, StandIn
from tests.servers import FOREIGN

SITE = Path(__file__).with_name("site")
COLLECTION = "faces"
PROCESSORS = ("asr", "yolo", "face", "pose", "ocr", "cut", "scene", "asrx", "visual_chunk")
SLOTS = 80
OWN_SESSIONS = "pg_stat_activity WHERE usename = 'continuity' AND application_name <> 'faults'"
"""Sessions of the service and of its commands."""
DISK_MB = {"postgres": 400, "redis": 48}
ADMINISTRATOR = "faults"
FINDINGS = 3
"""Files in status processing without a job. Two of the default checks report each file."""
SEED = f"""
INSERT INTO files (file_uuid, file_name, status) SELECT 'stale-' || n, 'stale', 'processing'
    FROM generate_series(1, {FINDINGS}) n;
INSERT INTO identities (uuid, name) VALUES ('one', 'One');
INSERT INTO schema_migrations (filename) VALUES ('001_first.sql');
"""


@dataclass
class Platform:
    """The servers by dependency: postgres, redis, qdrant; the proxies also sftpgo and tmdb."""

    folder: Path
    cleanup: ExitStack
    servers: dict[str, Server] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    disks: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    qdrant_key: str = field(default_factory=secrets.token_urlsafe)
    api_key: str = ""

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Start everything. The processes, mounts and files end with the block."""
        folder = Path(tempfile.mkdtemp(prefix="continuity-faults-"))
        with ExitStack() as cleanup:
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            platform = cls(folder, cleanup)
            platform._start_servers()
            platform._write_folders()
            platform._set_environment()
            platform._seed()
            platform.start_web()
            cleanup.callback(lambda: platform.web.stop())
            yield platform

    # --- Servers -----------------------------------------------------------------------------------------
    def _start_servers(self) -> None:
        for name in ("postgres", "redis", "qdrant"):
            self._mount(name)
            self.start_server(name)
            self.cleanup.callback(self._stop_server, name)
        self._configure_postgres()
        ports = {name: server.port for name, server in self.servers.items()}
        for name, answers in (("sftpgo", SFTPGO), ("tmdb", TMDB)):
            stand_in = StandIn(answers)
            self.cleanup.callback(stand_in.close)
            ports[name] = stand_in.port
        for name, port in ports.items():
            self.proxies[name] = proxy = Proxy(port)
            self.cleanup.callback(proxy.close)

    def _stop_server(self, name: str) -> None:
        self.servers[name].stop()  # a row may have restarted the server

    def start_server(self, name: str) -> None:
        """Start a server, on its former port after a restart."""
        starts: Mapping[str, Callable[..., Server]] = {
            "postgres": partial(start_postgres, durable=False),
            "redis": start_valkey,
            "qdrant": partial(start_qdrant, api_key=self.qdrant_key),
        }
        former = self.servers.get(name)
        self.servers[name] = starts[name](self.folder / name, port=former.port if former else None)

    def _mount(self, name: str) -> None:
        """Give the server a small disk, if this user may mount."""
        disk = self.folder / name
        disk.mkdir()
        if name not in DISK_MB:
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB[name]}m", "continuity-faults", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            self.disks[name] = disk
            self.cleanup.callback(subprocess.call, ["umount", "--lazy", str(disk)])

    def _configure_postgres(self) -> None:
        """Limit slots and log files, and let the tests sign in as superuser."""
        cluster = self.folder / "postgres" / "postgres"
        self.servers["postgres"].stop()
        with (cluster / "postgresql.conf").open("a") as file:
            file.write(f"max_connections = {SLOTS}\nmax_wal_size = 64MB\nmin_wal_size = 32MB\n")
        hba = cluster / "pg_hba.conf"
        hba.write_text("host all postgres 127.0.0.1/32 trust\n" + hba.read_text())
        self.start_server("postgres")

    def superuser(self) -> "psycopg.Connection[Any]":
        """Connect to PostgreSQL without the proxy, on a slot reserved for superusers."""
        url = f"postgres://postgres@{HOST}:{self.servers['postgres'].port}/continuity"
        return psycopg.connect(url, autocommit=True, connect_timeout=3, application_name="faults")

    def other_client(self) -> "psycopg.Connection[Any]":
        """Connect as the platform does, without the proxy."""
        return psycopg.connect(self.servers["postgres"].url, connect_timeout=3, application_name="faults")

    def valkey(self) -> "redis.Redis":
        """Connect to Valkey without the proxy."""
        return redis.Redis.from_url(self.servers["redis"].url, socket_timeout=5)

    # --- Folders and settings ----------------------------------------------------------------------------
    @property
    def media(self) -> Path:
        """Return the folder with scripts, models, migrations and identities."""
        return self.folder / "media"

    @property
    def switch(self) -> Path:
        """Return the file that makes names and folders hang (site/sitecustomize.py)."""
        return self.folder / "switch"

    def _write_folders(self) -> None:
        scripts = {f"{name}_processor.py": f'"""{name}"""\n' for name in PROCESSORS}
        sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in scripts.items())
        files = {f"scripts/{name}": text for name, text in scripts.items()} | {
            "scripts/checksums.sha256": "".join(sums),
            "models/model.onnx": "model\n",
            "migrations/001_first.sql": "-- applied\n",
            "identities/one/identity.json": json.dumps({"uuid": "one", "name": "One"}),
            "identities/_index.json": json.dumps({"one": {"name": "One"}}),
        }
        for name, text in files.items():
            path = self.media / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _set_environment(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        folders = {f"{name.upper()}_DIR": str(self.media / name) for name in _subfolders(self.media)}
        self.environment = clean | folders | {
            "DATABASE_URL": self._through_proxy("postgres", self.servers["postgres"].url),
            "REDIS_URL": self._through_proxy("redis", self.servers["redis"].url),
            "QDRANT_URL": self._through_proxy("qdrant", self.servers["qdrant"].url),
            "QDRANT_API_KEY": self.qdrant_key,
            "QDRANT_COLLECTIONS": COLLECTION,
            "SFTPGO_URL": self._through_proxy("sftpgo", f"http://{HOST}"),
            "SFTPGO_API_KEY": secrets.token_urlsafe(),
            "TMDB_URL": self._through_proxy("tmdb", f"http://{HOST}"),
            "TMDB_API_KEY": secrets.token_hex(16),
            "TMDB_ENABLED": "1",
            "FFMPEG": sys.executable,
            "CONSISTENCY_EXTERNAL_PAUSE": "0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ALLOWED_HOSTS": HOST,
            "DEMO": "1",  # plain HTTP
            "DEMO_FILE": str(self.folder / "demo.json"),
            "PYTHONPATH": str(SITE),
            "FAULTS_SWITCH": str(self.switch),
        }  # fmt: skip

    def _through_proxy(self, name: str, url: str) -> str:
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        address = f"{name}{DOMAIN}:{self.proxies[name].port}"
        return urlunsplit(parts._replace(netloc=f"{user}@{address}" if user else address))

    def _seed(self) -> None:
        request = urllib.request.Request(
            f"{self.servers['qdrant'].url}/collections/{COLLECTION}",
            method="PUT",
            data=json.dumps({"vectors": {"size": 4, "distance": "Cosine"}}).encode(),
            headers={"Content-Type": "application/json", "api-key": self.qdrant_key},
        )
        urllib.request.urlopen(request, timeout=10).close()
        self.manage("migrate", "--verbosity", "0")
        self.manage("createsuperuser", "--noinput", "--username", ADMINISTRATOR, "--email", "",
                    DJANGO_SUPERUSER_PASSWORD=self.password)  # fmt: skip
        self.api_key = self.manage("create_api_key", "faults").stdout.strip()
        with self.superuser() as connection:
            connection.execute(SEED)

    def manage(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of Continuity that must succeed."""
        command = [sys.executable, "manage.py", *words]
        environment = self.environment | variables
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    # --- The service -------------------------------------------------------------------------------------
    def start_web(self) -> None:
        """Start two workers, as in production."""

        def program(port: int) -> Program:
            return Program(
                name="The web server",
                command=serving.command(port),
                url=f"http://{HOST}:{port}",
                log=self.folder / "web.log",
                cwd=ROOT,
                answers=lambda: get_status(port, "/health/ready") == 200,
                environment=self.environment,
                death_signal=signal.SIGTERM,
            )

        self.web = start(program, None)

    def log(self) -> str:
        """Return the log of the service."""
        return (self.folder / "web.log").read_text(errors="replace")

    def secrets(self) -> list[str]:
        """Return words that no answer may contain: hosts, ports, paths, passwords and keys."""
        values = [self.password, self.api_key, str(self.folder), str(ROOT), DOMAIN, HOST, "localhost", "Traceback"]
        ports = [proxy.port for proxy in self.proxies.values()] + [server.port for server in self.servers.values()]
        values += [f"port {port}" for port in ports]
        values += [value for name, value in self.environment.items() if name.endswith(("_KEY", "_URL")) and value]
        return values + [urlsplit(server.url).password or self.password for server in self.servers.values()]


def _subfolders(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]
