"""`python -m tests.faults [TEXT ...]`: run the matrix and write docs/faults.md, or run the rows that contain a text."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NoReturn

from config.demo.process import ROOT
from tests.faults.attacks import ATTACKS, run_attack
from tests.faults.engine import Engine, Result
from tests.faults.platform import Platform
from tests.faults.rows import ROWS

TABLE = ROOT / "docs" / "faults.md"
COLUMNS = "row, truth, result, /health, detailed, scan, sign-in, check_health, check_consistency, recovery, sessions"
HEAD = """# Fault matrix

Result of `python -m tests.faults` on {date}: {passed} of {total} rows passed. Each row makes a fault, lets eight
clients and then 64 clients send requests, runs both commands, and compares the answers with the truth. Times are the
slowest answers in seconds, on a machine with {cpus} CPUs. *Recovery* is the time until both workers are well again, and
*sessions* is the highest number of sessions of the service in PostgreSQL.

"""


def run(words: list[str], *, load: bool) -> Iterator[tuple[str, Result]]:
    """Run the rows and the attacks. Yield the truth and the result of each."""
    with Platform.running() as platform:
        engine = Engine(platform, load=load)
        for row in ROWS:
            if _is_wanted(row.name, words):
                yield row.truth, engine.run(row)
        for attack in ATTACKS:
            if _is_wanted(f"attack: {attack.name}", words):
                yield (attack.run.__doc__ or "").partition("\n")[0], run_attack(engine, attack)


def _is_wanted(name: str, words: list[str]) -> bool:
    return not words or any(word in name for word in words)


def table(results: list[tuple[str, Result]]) -> str:
    """Return the results as a page in Markdown."""
    passed = sum(result.passed for _, result in results)
    head = HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", passed=passed, total=len(results), cpus=os.cpu_count())
    columns = COLUMNS.split(", ")
    head += f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|\n"
    return head + "".join(_line(truth, result) for truth, result in results)


def _line(truth: str, result: Result) -> str:
    def slowest(*names: str) -> str:
        return max((f"{result.worst[name]:.2f}" for name in names if name in result.worst), key=float, default="")

    cells = [
        result.name,
        truth.replace("|", "\\|"),
        "pass" if result.passed else "**FAIL** " + "; ".join(result.problems).replace("|", "\\|"),
        slowest("health"),
        slowest("detailed, key", "detailed, JWT"),
        slowest("consistency", "identity checks"),
        slowest("sign-in", "admin sign-in"),
        slowest("check_health"),
        slowest("check_consistency"),
        f"{result.numbers.get('recovery s', 0):g}",
        f"{result.numbers.get('sessions', 0):g}",
    ]
    return f"| {' | '.join(cells)} |\n"


def main() -> int:
    """Print a line per row. Return 1 if a row fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Run the fault matrix.")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="run the rows whose name contains a text")
    parser.add_argument("--quick", action="store_true", help="without load and commands: compare the answers only")
    options = parser.parse_args()
    names = [*(row.name for row in ROWS), *(f"attack: {attack.name}" for attack in ATTACKS)]
    if not any(_is_wanted(name, options.texts) for name in names):
        parser.error(f"no row contains {' or '.join(map(repr, options.texts))}")
    results = []
    for truth, result in run(options.texts, load=not options.quick):
        results.append((truth, result))
        sys.stdout.write(result.line() + "\n")
        sys.stdout.flush()
    passed = sum(result.passed for _, result in results)
    sys.stdout.write(f"{passed} of {len(results)} rows passed.\n")
    if not (options.texts or options.quick):
        TABLE.write_text(table(results))
    return 0 if passed == len(results) else 1


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell lets programs in the background ignore SIGINT
        signal.signal(number, _end)
    sys.exit(main())
