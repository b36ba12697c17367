"""`manage.py check_health`: run the probes for cron, containers and deployment scripts."""

import json
import logging
from functools import partial
from time import sleep
from typing import Any, Final

from django.core.management.base import CommandParser
from rich.text import Text

from common.arguments import parse_seconds
from common.budget import Budget
from common.choices import validate_choice
from common.commands import CLEAN, COULD_NOT_CHECK, FOUND, ContinuityCommand
from common.output import has_colour, new_table, render
from common.postgres import pool
from health.registry import PROBES
from health.runs.result import DEGRADED, ERROR, OK, ProbeResult, overall
from health.snapshot import Snapshot

LEVELS: Final = (OK, DEGRADED, ERROR)
DEFAULT_TIMEOUT: Final = 10.0
PAUSE: Final = 0.1
STYLES: Final = {OK: "green", DEGRADED: "yellow", ERROR: "red"}


class Command(ContinuityCommand):
    help = "Run all probes and report whether the platform is healthy. The command changes nothing."
    epilog = """\
The probes are those of /health/detailed, run by this process. Without names, the essential probes decide the status,
as in /health/detailed. The exit code also depends on the probes that --list-probes marks with "fails check_health".
With names, the named probes decide the status and the exit code.

examples:
  manage.py check_health                              the whole platform, as a table
  manage.py check_health postgres redis               two probes only
  manage.py check_health schema && ./deploy           stop while a migration is missing
  manage.py check_health --fail-level error           ignore degraded services
  manage.py check_health --format json | jq .services

exit codes:
  0  below --fail-level
  1  at --fail-level or above
  2  wrong usage
  3  could not check: a probe has a bug (-v 2 shows the error), or gave no answer before --timeout; wins over 1
"""

    def add_arguments(self, parser: CommandParser) -> None:
        name = partial(validate_choice, "probe", allowed=PROBES)
        parser.add_argument("probes", nargs="*", type=name, metavar="PROBE", help="probes to run (default: all)")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument(
            "--fail-level", choices=LEVELS[1:], default=DEGRADED, help="lowest status that fails (default: degraded)"
        )
        parser.add_argument(
            "--timeout", type=parse_seconds, default=DEFAULT_TIMEOUT, metavar="S", help="limit in seconds (default: 10)"
        )
        parser.add_argument("--list-probes", action="store_true", help="print the name and title of every probe")

    def run(self, *args: Any, **options: Any) -> int:
        if options["list_probes"]:
            self.stdout.write(_list_probes())
            return CLEAN
        names: list[str] = options["probes"]
        results = _run_probes(names, options["timeout"], log=options["verbosity"] > 1)
        fail_level = LEVELS.index(options["fail_level"])
        failing = [
            name
            for name, probe in PROBES.items()
            if (name in names if names else probe.fails_command)
            if LEVELS.index(results[name].status) >= fail_level
        ]
        self._report(names, results, failing, options)
        if not all(result.known for result in results.values()):
            return COULD_NOT_CHECK
        return FOUND if failing else CLEAN

    def _report(
        self, names: list[str], results: dict[str, ProbeResult], failing: list[str], options: dict[str, Any]
    ) -> None:
        deciding = names or [name for name, probe in PROBES.items() if probe.essential]
        status = overall(results[name] for name in deciding)
        if options["format"] == "json":
            from health.report import report  # the import takes a tenth of a second, and the table needs no report

            shown = {name: result for name, result in results.items() if names or PROBES[name].section}
            self.stdout.write(json.dumps(report(shown, status), indent=2))
            return
        rows = new_table("PROBE", "STATUS", "MS", "", numbers=["MS"])
        for name, result in results.items():
            rows.add_row(
                name, _coloured(result.status), str(result.latency_ms), Text(result.message(PROBES[name].title))
            )
        verb = "decides" if len(deciding) == 1 else "decide"
        further = [
            f"\n{name} fails this command: {results[name].message(PROBES[name].title)}"
            for name in failing
            if name not in deciding
        ]
        summary = Text.assemble("\nOverall: ", _coloured(status), f" ({', '.join(deciding)} {verb})", *further)
        terminal, colour = self.stdout.isatty(), has_colour(self.stdout, **options)
        self.stdout.write(render(rows, summary, terminal=terminal, colour=colour))


def _run_probes(names: list[str], timeout: float, *, log: bool) -> dict[str, ProbeResult]:
    logger = logging.getLogger("health")
    level = logger.level
    if not log:
        # The table shows the same errors.
        logger.setLevel(logging.CRITICAL + 1)
    snapshot, budget = Snapshot(refreshing=False), Budget(timeout)
    try:
        # All probes run at the same time, and the wait for a shared connection would count for the deadline.
        with pool.unlimited(pool.PROBES):
            results = snapshot.refresh(names or None, budget=timeout)
            while (unfinished := _unfinished(results)) and budget.remaining():
                sleep(PAUSE)
                results |= snapshot.refresh(unfinished, budget=budget.remaining(), fresh=True)
        return results
    finally:
        snapshot.close()
        logger.setLevel(level)


def _unfinished(results: dict[str, ProbeResult]) -> list[str]:
    """Return the names of the probes with an unfinished answer, or without answer because this process was late."""
    return [name for name, result in results.items() if result.status != ERROR and not result.known]


def _list_probes() -> str:
    """Return a line per probe: name, effect on the overall status or the exit code, title."""
    rows = new_table("", "", "")
    rows.show_header = False
    for probe in PROBES.values():
        effect = "essential" if probe.essential else "fails check_health" if probe.fails_command else ""
        rows.add_row(probe.name, effect, Text(probe.title))
    return render(rows)


def _coloured(status: str) -> Text:
    return Text(status, STYLES[status])
