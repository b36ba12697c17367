"""Count false errors while two busy loops and 64 clients take the CPU time of the demo, whose servers are well.

Run from the project's folder: python -m benchmarks.overload [ANSWERS]

The clients request reports of health, scans and a list of the REST API. A false error is a service in error in
/health/detailed, or an answer of 503. A further client requests /health ten times a second.
"""

import http.client
import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from urllib.parse import urlsplit

from tests.config.demos import Served, serve

ANSWERS, CLIENTS, LOOPS = 10_000, 64, 2
DETAILED = "/health/detailed"
PATHS = (DETAILED, "/health/consistency", "/api/v1/consistency/scans?limit=1", f"{DETAILED}?fresh=1")
SERVICES = ("postgres", "redis", "qdrant")


def request(demo: Served, stop: threading.Event, numbers: "count[int]", answers: "Counter[str]", limit: int) -> None:
    """Request the paths in turn until `limit` answers are read, and count the outcomes."""
    connection = http.client.HTTPConnection(urlsplit(demo.address).netloc, timeout=60)
    while not stop.is_set() and (number := next(numbers)) < limit:
        connection.request("GET", PATHS[number % len(PATHS)], headers={"X-API-Key": demo.key})
        response = connection.getresponse()
        body = json.load(response)
        answers[f"HTTP {response.status}"] += 1
        if response.status != 200:
            answers[f"HTTP {response.status}: {body['detail']}"] += 1
        for name in SERVICES if "services" in body else ():
            answers[f"{name} {body['services'][name]['status']}"] += 1
        if "services" in body:
            answers[f"process {body['process']['status']}"] += 1
    connection.close()


def poll(demo: Served, stop: threading.Event, answers: "Counter[str]", taken: list[float]) -> None:
    """Request /health periodically until the event."""
    while not stop.is_set():
        started = perf_counter()
        answers[f"/health {demo.get('/health')[1]['status']}"] += 1
        taken.append(perf_counter() - started)
        sleep(0.1)


def main() -> None:
    """Print the outcomes, the false errors, and the slowest /health."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS
    answers: Counter[str] = Counter()
    taken: list[float] = []
    stop, numbers, started = threading.Event(), count(), perf_counter()
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        demo = serve(Path(folder))
        stopping.callback(demo.process.wait)
        stopping.callback(demo.process.terminate)
        for _ in range(LOOPS):
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stopping.callback(loop.wait)
            stopping.callback(loop.kill)
        clients = [threading.Thread(target=request, args=(demo, stop, numbers, answers, limit)) for _ in range(CLIENTS)]
        poller = threading.Thread(target=poll, args=(demo, stop, answers, taken))
        with suppress(KeyboardInterrupt):
            for thread in (poller, *clients):
                thread.start()
            for client in clients:
                client.join()
        stop.set()
        poller.join()
    errors = {name: answers[f"{name} error"] for name in SERVICES}
    for outcome, number in sorted(answers.items()):
        sys.stdout.write(f"{outcome}: {number:,}\n")
    false = ", ".join(f"{name} {number}" for name, number in errors.items())
    sys.stdout.write(f"{perf_counter() - started:.0f} s. False errors: {false}, HTTP 503 {answers['HTTP 503']}. ")
    sys.stdout.write(f"Slowest of {len(taken)} /health: {max(taken) * 1000:.0f} ms\n")


if __name__ == "__main__":
    main()
