"""Run one row of the matrix: make the fault, ask the service, end the fault, and list every untruth."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from config.demo.process import until
from tests.faults.clients import Access, Record, Run, margin, request, run_command
from tests.faults.measure import backends, usage
from tests.faults.platform import Platform
from tests.faults.rows import Row
from tests.faults.truth import is_unwell, sections, status_of, untrue_scan, untrue_sections

BOTH_WORKERS: Final = 12
"""Requests on new connections, so many that each worker answers some."""
COMMANDS: Final = {
    # Arguments, deadline, and the exit code on a healthy platform.
    "check_health": (("check_health",), 10.0, 0),
    "check_consistency": (("check_consistency", "--format", "json"), 60.0, 1),
}
SETTLE: Final = 10.0
BACKENDS: Final = 12
"""Sessions of a worker, at most."""
COMMAND_BACKENDS: Final = 8
"""Sessions of both commands."""
THREADS: Final = 12
"""Left behind by hung probes of both workers, at most."""
REPEATED: Final = 12
"""Two workers may log a message so often in a row: per probe, when a fault begins, changes and ends."""
SERVICES: Final = ("postgres", "redis", "qdrant")
MESSAGE: Final = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ \w+ [\w.]+: (.*)")
TRACES: Final = ("Traceback", "nexpected error", "failed unexpectedly")


@dataclass
class Result:
    """The observations of a row. Without problems, the row passes."""

    name: str
    problems: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.problems

    def line(self) -> str:
        """Return the result in one line, with a line per problem."""
        times = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.worst.items())
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.numbers.items())
        problems = "".join(f"\n     {count} x {problem}" for problem, count in self.problems.items())
        return f"{'PASS' if self.passed else 'FAIL'} {self.name} | {times} | {numbers}{problems}"


class Engine:
    """Runs rows on one platform, one after the other. Without `load`, a row only compares answers with the truth."""

    def __init__(self, platform: Platform, *, load: bool = True) -> None:
        self.platform = platform
        self.load = load
        self.access = Access(platform)
        assert self.is_well(60), request(self.access, "detailed, fresh")
        self.access.sign_in()
        self.usage: dict[str, int] = {}
        self.warm_up()

    def warm_up(self) -> None:
        """Let both workers start their threads and connections, and measure the service."""
        if self.load:
            record = Record(self.access)
            record.burst()
            record.eight_clients()
            self.usage = usage(self.platform)

    # --- A row -------------------------------------------------------------------------------------------
    def run(self, row: Row) -> Result:
        """Run a row. The platform is well before and afterwards, or the result says so."""
        result = Result(row.name)
        if row.disk and row.disk not in self.platform.disks:
            result.numbers["not run: no right to mount"] = 1
            return result
        if not self.is_well(30):
            result.problems[f"not well before: {self.unwell()}"] += 1
        self.access.sign_in()
        logged = len(self.platform.log())
        record = Record(self.access, may_503=row.may_503)
        with backends(self.platform) as highest, row.make(self.platform):
            begun = time.monotonic()
            if self.load:
                self._load(row, record, result)
            self._check_truth(row, result)
            self.check_usage(result, "during the fault")
            result.numbers["fault s"] = round(time.monotonic() - begun, 1)
        self.check_recovery(row.recovery, result)
        self.check_usage(result, "afterwards")
        self.check_log(self.platform.log()[logged:], result)
        self._check_backends(highest, result)
        result.problems += record.problems
        result.worst = record.worst | result.worst
        return result

    def _load(self, row: Row, record: Record, result: Result) -> None:
        with ThreadPoolExecutor(len(COMMANDS)) as pool:
            runs = {
                name: pool.submit(run_command, self.platform, *words, timeout=limit + 4 * margin())
                for name, (words, limit, _) in COMMANDS.items()
            }
            record.eight_clients()
            record.burst()
            for name, run in runs.items():
                _check_command(row, name, run.result(), result)

    def _check_truth(self, row: Row, result: Result) -> None:
        """Wait until the answers are true, and report the last untruth."""
        for _ in until(SETTLE, step=0.2):
            untruths = list(self._untruths(row))
            if not untruths:
                return
        for untruth in untruths:
            result.problems[untruth] += 1

    def _untruths(self, row: Row) -> Iterator[str]:
        for kind in ("detailed, fresh", "detailed, key", "detailed, JWT"):
            answer = request(self.access, kind)
            if answer.status == 200:
                yield from untrue_sections(row, sections(answer), kind)
            elif not (kind == "detailed, key" or kind == "detailed, fresh") or "detailed, key" not in row.may_503:
                yield f"{kind}: {answer.status} {answer.text[:100]!r}"
        if row.probe == "sftpgo":
            yield from untrue_sections(row, {"sftpgo": request(self.access, "sftpgo").body}, "sftpgo")
        statuses = {status_of(request(self.access, "health")) for _ in range(BOTH_WORKERS)}
        if row.health != "any" and statuses != {row.health}:
            yield f"/health is {sorted(statuses)}, not {row.health}"
        yield from untrue_scan(row, request(self.access, "consistency"))

    def check_recovery(self, limit: float, result: Result) -> None:
        ended = time.monotonic()
        if not self.is_well(30):
            result.problems[f"no recovery within 30 s: {self.unwell()}"] += 1
        seconds = time.monotonic() - ended
        result.numbers["recovery s"] = round(seconds, 1)
        if seconds > limit + margin():
            result.problems[f"recovery after {seconds:.1f} s"] += 1

    def check_usage(self, result: Result, when: str) -> None:
        limits = {"threads": THREADS, "files": 40, "MB": 100}
        now = usage(self.platform)
        for name, limit in limits.items() if self.load else ():
            growth = now[name] - self.usage[name]
            result.numbers[f"{name} {when}"] = growth
            if growth > limit:
                result.problems[f"{name} grew by {growth} {when}"] += 1

    def check_log(self, log: str, result: Result) -> None:
        """Report tracebacks, unexpected errors, and messages that are repeated too often."""
        lines = log.splitlines()
        result.numbers["log lines"] = len(lines)
        messages = Counter(re.sub(r"[\d.]+", "N", match[1]) for match in map(MESSAGE.match, lines) if match)
        for message, times in messages.items():
            if times > REPEATED:
                result.problems[f"{times} times in the log: {message[:120]}"] += 1
            if any(trace in message for trace in TRACES):
                result.problems[f"in the log: {message[:120]}"] += times
        # The last line of a traceback names the error. The lines before are indented.
        for line, before in pairwise(reversed(lines)):
            if before.startswith("  ") and not line.startswith(" ") and ":" in line and not MESSAGE.match(line):
                result.problems[f"traceback in the log: {line[:160]}"] += 1

    def _check_backends(self, highest: Mapping[str, int], result: Result) -> None:
        result.numbers["sessions"] = highest["own"]
        if highest["own"] > 2 * BACKENDS + COMMAND_BACKENDS:
            result.problems[f"{highest['own']} sessions in PostgreSQL"] += 1
        if highest["refused"] and "slots" not in result.name:
            result.problems["PostgreSQL has no slot for other clients"] += highest["refused"]

    # --- Health of the platform ----------------------------------------------------------------------------
    def is_well(self, seconds: float) -> bool:
        """Return whether both workers report a well platform within so many seconds."""
        return any(self.unwell() is None for _ in until(seconds, step=0.1))

    def unwell(self) -> str | None:
        """Return the first unwell answer; None if the platform is well."""
        fresh = ["detailed, fresh"] * (BOTH_WORKERS // 3)
        for kind in (*fresh, *["sftpgo"] * BOTH_WORKERS, *["health"] * BOTH_WORKERS):
            answer = request(self.access, kind)
            if answer.status != 200:
                return f"{kind}: {answer.status} {answer.text[:100]}"
            if kind == "detailed, fresh":
                bad = {name: part for name, part in sections(answer).items() if is_unwell(part)}
            else:
                bad = {kind: answer.body} if is_unwell(answer.body) else {}
            if bad:
                return str(bad)[:300]
        return None


def _check_command(row: Row, name: str, run: Run, result: Result) -> None:
    _, limit, well = COMMANDS[name]
    result.worst[name] = run.seconds
    if run.seconds > limit + 3 * margin():  # the start of the command takes seconds
        result.problems[f"{name}: {run.seconds:.0f} s"] += 1
    codes = row.exits.get(name, (well,))
    if run.code not in codes:
        tail = (run.err or run.out).strip().splitlines()[-1:]
        result.problems[f"{name}: exit code {run.code}, not {codes}: {tail}"] += 1
    if any(trace in run.out + run.err for trace in TRACES):
        text = next(line for line in (run.out + run.err).splitlines() if any(trace in line for trace in TRACES))
        result.problems[f"{name}: {text.strip()[:160]}"] += 1
