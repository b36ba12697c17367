"""Attacks by clients, and faults that last: the platform stays well, and the service stays small."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from config.demo.process import HOST, until
from tests.faults.clients import ENDPOINTS, Access, Answer, Record, margin, request
from tests.faults.engine import BACKENDS, Engine, Result
from tests.faults.makers import locked, paused, switched
from tests.faults.measure import SESSIONS, TRANSACTIONS, backends, count
from tests.faults.proxy import BLACK_HOLE
from tests.processes import all_gone

DRIPPING, DRIPS = 40, 12
SCANNING, SCAN_SECONDS = 64, 8.0
STALLED, MANY_ROWS = 6, 200_000
READ_TIMEOUT: Final = 10.0
"""Seconds that the service waits for a client that reads nothing."""
QUICK: Final = 1.0
"""The promise for /health is 0.25 s; a busy machine gets more."""
POLLS: Final = 500
IDLE_TIMEOUT: Final = 30.0
SHUTDOWN: Final = 5.0
MANY: Final = f"""
INSERT INTO files (file_uuid, file_name, status)
SELECT 'attack-' || n, repeat('name', 20), 'processing' FROM generate_series(1, {MANY_ROWS}) n
"""
FEW: Final = "DELETE FROM files WHERE file_uuid LIKE 'attack-%'"


@dataclass(frozen=True)
class Attack:
    """A name, and a function that adds problems and numbers to the result."""

    name: str
    run: Callable[[Engine, Result], None]
    short: bool = False


def run_attack(engine: Engine, attack: Attack) -> Result:
    """Run an attack. The platform is well before and afterwards, or the result says so."""
    result = Result(f"attack: {attack.name}")
    if not engine.is_well(30):
        result.problems[f"not well before: {engine.unwell()}"] += 1
    engine.access.sign_in()
    logged = len(engine.platform.log())
    attack.run(engine, result)
    engine.platform.valkey().flushall()  # failed sign-ins would refuse the next clients
    engine.check_recovery(2.0, result)
    engine.check_usage(result, "afterwards")
    engine.check_log(engine.platform.log()[logged:], result)
    return result


@contextmanager
def _health_is_quick(engine: Engine, result: Result) -> Iterator[None]:
    """Request /health all the time, and require a quick and true answer to each request."""
    answers: list[Answer] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(0.05):
            answers.append(request(engine.access, "health", timeout=10))

    thread = threading.Thread(target=poll, name="health")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    slowest = max((answer.seconds for answer in answers), default=99.0)
    result.worst["health"] = slowest
    result.numbers["health answers"] = len(answers)
    if slowest > QUICK:
        result.problems[f"/health took {slowest:.1f} s"] += 1
    if wrong := [answer for answer in answers if answer.status != 200]:
        result.problems[f"/health: {wrong[0].status} {wrong[0].text[:100]}"] += len(wrong)
    if untrue := [answer for answer in answers if answer.status == 200 and answer.body["status"] != "ok"]:
        result.problems["/health was degraded, but the platform was well"] += len(untrue)


# --- Slow and many clients -------------------------------------------------------------------------------
def dripping_bodies(engine: Engine, result: Result) -> None:
    """Send a body of one byte per second on many connections."""
    endpoint = ENDPOINTS["sign-in"]
    lines = [
        f"POST {endpoint.path} HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        "Content-Length: 1000",
    ]
    with ExitStack() as cleanup, _health_is_quick(engine, result):
        clients = [cleanup.enter_context(_connect(engine)) for _ in range(DRIPPING)]
        for client in clients:
            client.sendall("\r\n".join([*lines, "", ""]).encode())
        for _ in range(DRIPS):
            for client in clients:
                with suppress(OSError):  # 408
                    client.sendall(b"{")
            time.sleep(1)


def many_scans(engine: Engine, result: Result) -> None:
    """Scan with many clients at once, and require that no service is blamed for the load."""
    end = time.monotonic() + SCAN_SECONDS
    record = Record(engine.access)
    blamed: list[str] = []

    def scan(number: int) -> None:
        while time.monotonic() < end:
            record.send("consistency")

    def look() -> None:
        while time.monotonic() < end:
            answer = record.send("detailed, key")
            for name, part in (answer.body or {}).get("services", {}).items():
                if part["status"] == "error":
                    blamed.append(f"{name}: {part['error']}")

    with _health_is_quick(engine, result), ThreadPoolExecutor(SCANNING + 1) as pool:
        looking = pool.submit(look)
        list(pool.map(scan, range(SCANNING)))
        looking.result()
    result.problems.update(blamed)
    result.problems += record.problems
    result.worst |= record.worst
    result.numbers["scans"] = record.expected["consistency"]


def wrong_sign_ins(engine: Engine, result: Result) -> None:
    """Send many wrong passwords at once."""

    def sign_in(number: int) -> int:
        connection = http.client.HTTPConnection(HOST, engine.platform.web.port, timeout=30)
        body = json.dumps({"username": f"nobody{number}", "password": "wrong"})
        connection.request("POST", ENDPOINTS["sign-in"].path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    with _health_is_quick(engine, result), ThreadPoolExecutor(60) as pool:
        statuses = list(pool.map(sign_in, range(60)))
    for status in statuses:
        if status not in (401, 429, 503):
            result.problems[f"a wrong sign-in got {status}"] += 1


# --- Downloads -------------------------------------------------------------------------------------------
def stalled_downloads(engine: Engine, result: Result) -> None:
    """Start downloads and read nothing. The scans must end without the clients."""
    with _many_rows(engine), ExitStack() as cleanup, _health_is_quick(engine, result):
        for _ in range(STALLED):
            _download(engine, cleanup)
        time.sleep(1)
        record = Record(engine.access)
        record.send("detailed, JWT")
        result.problems += record.problems
        _wait_for_end_of_scans(engine, result, READ_TIMEOUT + 2 * margin())


def ended_downloads(engine: Engine, result: Result) -> None:
    """Start downloads and disconnect after the first bytes. The scans must end soon."""
    with _many_rows(engine), _health_is_quick(engine, result):
        with ExitStack() as cleanup:
            for client in [_download(engine, cleanup) for _ in range(STALLED)]:
                client.recv(1000)
        _wait_for_end_of_scans(engine, result, 2 * margin())


def _wait_for_end_of_scans(engine: Engine, result: Result, limit: float) -> None:
    begin = time.monotonic()
    time.sleep(2)  # the query finds transactions older than a second
    for _ in until(4 * limit, step=0.2):
        if not count(engine.platform, TRANSACTIONS):
            break
    seconds = time.monotonic() - begin
    result.numbers["scans ended after s"] = round(seconds, 1)
    if seconds > limit:
        result.problems[f"scans of absent readers ended after {seconds:.0f} s"] += 1


@contextmanager
def _many_rows(engine: Engine) -> Iterator[None]:
    with engine.platform.superuser() as connection:
        connection.execute(MANY)
        try:
            yield
        finally:
            connection.execute(FEW)


def _download(engine: Engine, cleanup: ExitStack) -> socket.socket:
    client = cleanup.enter_context(_connect(engine))
    key = engine.platform.api_key
    lines = ["GET /health/consistency HTTP/1.1", f"Host: {HOST}", "Accept: application/x-ndjson", f"X-API-Key: {key}"]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    return client


def _connect(engine: Engine) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the kernel must not read for the client
    client.settimeout(30)
    client.connect((HOST, engine.platform.web.port))
    return client


# --- Faults that last ------------------------------------------------------------------------------------
def locked_keys(engine: Engine, result: Result) -> None:
    """Poll for a minute while the table of API keys is locked."""
    end = time.monotonic() + 60

    def poll(number: int) -> None:
        while time.monotonic() < end:
            request(engine.access, "detailed, key")

    with backends(engine.platform) as highest, locked(engine.platform, tables=("rest_framework_api_key_apikey",)):
        with _health_is_quick(engine, result), ThreadPoolExecutor(8) as pool:
            list(pool.map(poll, range(8)))
        waiting = count(engine.platform, SESSIONS)
    result.numbers |= {"sessions at the end": waiting, "highest": highest["own"]}
    if highest["own"] > 2 * BACKENDS:
        result.problems[f"{highest['own']} sessions in PostgreSQL"] += 1
    if highest["refused"]:
        result.problems["PostgreSQL has no slot for other clients"] += highest["refused"]


def many_polls(engine: Engine, result: Result) -> None:
    """Poll the report while a disk, a table and Redis give no answer."""
    record = Record(engine.access)
    hung = switched(engine.platform, line=f"{engine.platform.media}/identities")
    with hung, engine.platform.proxies["redis"].failing(BLACK_HOLE), locked(engine.platform, tables=("identities",)):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: record.send("detailed, JWT"), range(POLLS)))
        engine.check_usage(result, f"after {POLLS} polls")
    result.problems += record.problems
    result.worst |= record.worst


def idle_sessions(engine: Engine, result: Result) -> None:
    """Leave the service alone after a burst. Idle sessions must end."""
    Record(engine.access).burst()
    result.numbers["sessions after the burst"] = count(engine.platform, SESSIONS)
    limit = IDLE_TIMEOUT + 10
    begin = time.monotonic()
    few = any(count(engine.platform, SESSIONS) <= 8 for _ in until(limit, step=0.5))
    result.numbers["few sessions after s"] = round(time.monotonic() - begin, 1)
    if not few:
        result.problems[f"{count(engine.platform, SESSIONS)} idle sessions after {limit:.0f} s"] += 1


def sigterm(engine: Engine, result: Result) -> None:
    """End the service while names, a disk and every server hang. Afterwards start the service again."""
    platform = engine.platform
    tree = platform.web.tree()
    with ExitStack() as faults, ThreadPoolExecutor(8) as pool:
        for name in ("postgres", "qdrant"):
            faults.enter_context(paused(platform, name=name))
        faults.enter_context(platform.proxies["redis"].failing(BLACK_HOLE))
        faults.enter_context(switched(platform, line=f"names\n{platform.media}"))
        waiting = [pool.submit(request, engine.access, name) for name in ("consistency", "sign-in") * 4]
        time.sleep(1)
        begin = time.monotonic()
        platform.web.process.terminate()
        gone = all_gone(tree)
        seconds = time.monotonic() - begin
        for each in waiting:
            each.result()
    platform.web.stop()
    result.numbers["SIGTERM s"] = round(seconds, 1)
    if not gone or seconds > SHUTDOWN + margin():
        result.problems[f"the server ended {seconds:.1f} s after SIGTERM"] += 1
    platform.start_web()
    engine.access = Access(platform)
    assert engine.is_well(60)
    engine.access.sign_in()
    engine.warm_up()


ATTACKS: Final = [
    Attack("40 bodies of a byte per second", dripping_bodies, short=True),
    Attack("64 clients scan", many_scans),
    Attack("60 wrong sign-ins at once", wrong_sign_ins, short=True),
    Attack("6 downloads that nobody reads", stalled_downloads),
    Attack("6 downloads that end early", ended_downloads),
    Attack("API keys locked for a minute", locked_keys),
    Attack(f"{POLLS} polls of hung probes", many_polls),
    Attack("idle sessions", idle_sessions),
    Attack("SIGTERM while everything hangs", sigterm),
]
