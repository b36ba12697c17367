"""Measure /health while an index of 260,000 identities (40 MB) changes every two seconds, against a small index.

Run from the project's folder: python -m benchmarks.identity_index

One client requests /health of the demo. A second client requests /health/detailed, which runs the probe of identities.

Measured on two cores with other busy processes: x0.91 and x1.99 of the p99 with a small index (27 to 34 ms). With
json.loads in the probe x188, with ijson in the thread x16, and with a child process of normal priority x11.
"""

import http.client
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from urllib.parse import urlsplit
from uuid import uuid4

from tests.config.demos import Served, serve

IDENTITIES, ROUNDS, REQUESTS, INTERVAL = 260_000, 4, 2_000, 0.005
PERSON = {"name": "a name of average length", "source": "tmdb", "updated_at": "2026-05-18T17:30:00Z", "faces": [1, 2]}


def latencies(demo: Served) -> list[float]:
    """Return the milliseconds of requests, one per INTERVAL, from the instant at which each request was due."""
    connection = http.client.HTTPConnection(urlsplit(demo.address).netloc, timeout=30)
    taken, due = [], perf_counter()
    for _ in range(REQUESTS):
        due += INTERVAL
        sleep(max(0.0, due - perf_counter()))
        connection.request("GET", "/health")
        connection.getresponse().read()
        taken.append((perf_counter() - due) * 1000)
    return taken


def repeat(seconds: float, act: Callable[[], object], stop: threading.Event) -> None:
    """Act periodically until the event."""
    while not stop.wait(seconds):
        act()


def main() -> None:
    """Print the median and the 99th percentile of both, and the ratio."""
    with TemporaryDirectory() as folder, ExitStack() as stopping:
        demo = serve(Path(folder))
        stopping.callback(demo.process.wait)
        stopping.callback(demo.process.terminate)
        index = next(Path(folder).rglob("_index.json"))
        texts = {"small": index.read_text(), "large": json.dumps({str(uuid4()): PERSON for _ in range(IDENTITIES)})}
        taken: dict[str, list[float]] = {"small": [], "large": []}
        for name in ("small", "large") * ROUNDS:
            index.write_text(texts[name])
            stop = threading.Event()
            with ThreadPoolExecutor() as pool:
                pool.submit(repeat, 0.2, lambda: demo.get("/health/detailed?fresh=1", demo.key), stop)
                pool.submit(repeat, 2.0, index.touch, stop)
                taken[name] += latencies(demo)
                stop.set()
    p99 = {name: quantiles(values, n=100)[98] for name, values in taken.items()}
    for name, values in taken.items():
        ratio = p99[name] / p99["small"]
        median = quantiles(values, n=2)[0]
        sys.stdout.write(f"{name} index: median {median:.1f} ms, p99 {p99[name]:.1f} ms (x{ratio:.2f})\n")


if __name__ == "__main__":
    main()
