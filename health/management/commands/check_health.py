"""Ask every probe from the command line: for cron, containers and deployment scripts."""

import json
import logging
import os
import sys
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from health import report, status_table
from health.registry import PROBES
from health.snapshot import Snapshot
from health.verdict import DEGRADED, ERROR, OK, Verdict, overall

CLEAN: Final = 0
FOUND: Final = 1
COULD_NOT_CHECK: Final = 3
LEVELS: Final = (OK, DEGRADED, ERROR)
TIMEOUT: Final = 10.0

EXAMPLES: Final = """
The probes are those of /health/detailed, asked anew by this process. Without names the status follows the essential
probes, as in /health/detailed, and the exit code these and what else --list-probes marks; with names the named ones.

examples:
  manage.py check_health                              the whole platform, as a table
  manage.py check_health postgres redis               two probes only
  manage.py check_health schema && ./deploy           stop while a migration is missing
  manage.py check_health --fail-level error           leave half-working services to others
  manage.py check_health --format json | jq .services

exit codes:
  0  below --fail-level
  1  at --fail-level or above
  2  wrong usage
  3  could not check: a probe failed by itself (-v 2 shows why), or gave no answer before --timeout; wins over 1
"""


def probe_name(text: str) -> str:
    """Accept the name of a registered probe. Raises ArgumentTypeError, which names one much like it."""
    if text in PROBES:
        return text
    nearest = get_close_matches(text, PROBES, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ArgumentTypeError(f"unknown probe {text!r}.{hint} --list-probes shows them all.")


def seconds(text: str) -> float:
    """Accept a number of seconds above zero. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of seconds. Expected: more than 0, such as 10.")
    return number


class Command(BaseCommand):
    help = "Ask every probe whether the platform is healthy. Changes nothing."
    # It must answer just when something is wrong.
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the examples as they are written."""
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("probes", nargs="*", type=probe_name, metavar="PROBE", help="all of them if none is named")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--fail-level", choices=LEVELS[1:], default=DEGRADED, help="default: degraded")
        parser.add_argument("--timeout", type=seconds, default=TIMEOUT, metavar="S", help="default: 10 seconds")
        parser.add_argument("--list-probes", action="store_true", help="print every probe's name and title, and end")

    def handle(
        self,
        *,
        probes: list[str],
        format: str,  # noqa: A002 - the option's name
        fail_level: str,
        timeout: float,
        list_probes: bool,
        verbosity: int,
        no_color: bool,
        **_: Any,
    ) -> None:
        """Ask, print, and end with the exit code."""
        if list_probes:
            self._print(status_table.listed(PROBES))
            return
        with _silence(unless=verbosity > 1), _failing_as(COULD_NOT_CHECK):
            verdicts = _asked(probes, timeout)
        deciding = probes or [name for name, probe in PROBES.items() if probe.essential]
        failing = [name for name in probes or _fails_command() if _is_as_bad(verdicts[name], fail_level)]
        others = [name for name in failing if name not in deciding]
        self._show(verdicts, deciding, others, partly=bool(probes), format=format, no_color=no_color)
        if code := _exit_code(verdicts.values(), failing):
            sys.exit(code)

    def _show(
        self,
        verdicts: Mapping[str, Verdict],
        deciding: Sequence[str],
        failing: Sequence[str],
        *,
        partly: bool,
        format: str,  # noqa: A002 - the option's name
        no_color: bool,
    ) -> None:
        status = overall(verdicts[name] for name in deciding)
        if format == "json":
            shown = {name: verdict for name, verdict in verdicts.items() if partly or PROBES[name].section}
            self._print(json.dumps(report.assembled(shown, status), indent=2))
        else:
            terminal = self.stdout.isatty() and not no_color
            self._print(status_table.table(PROBES, verdicts, status, deciding, failing, terminal=terminal))

    def _print(self, text: str) -> None:
        """Write at once: what a full disk refuses only at the interpreter's end is nobody's to handle."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except OSError as problem:
            # Nor shall the interpreter try to write the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError(
                f"Could not write the report: {problem.strerror}.", returncode=COULD_NOT_CHECK
            ) from problem


def _asked(names: list[str], timeout: float) -> dict[str, Verdict]:
    own = Snapshot(keeps_young=False)  # asks only what it is asked for, and ends
    try:
        return own.ask(names or None, budget=timeout)
    finally:
        own.close()


def _fails_command() -> list[str]:
    return [name for name, probe in PROBES.items() if probe.fails_command]


def _is_as_bad(verdict: Verdict, fail_level: str) -> bool:
    return LEVELS.index(verdict.status) >= LEVELS.index(fail_level)


def _exit_code(verdicts: Iterable[Verdict], failing: Sequence[str]) -> int:
    if not all(verdict.known for verdict in verdicts):
        return COULD_NOT_CHECK
    return FOUND if failing else CLEAN


@contextmanager
def _silence(*, unless: bool) -> Iterator[None]:
    """Keep what servers log off a terminal that shows the same as a table."""
    log = logging.getLogger("health")
    before = log.level
    if not unless:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _failing_as(code: int) -> Iterator[None]:
    """Turn whatever goes wrong here into one line and an exit code."""
    try:
        yield
    except Exception as problem:
        raise CommandError(f"Could not check: {type(problem).__name__}. See --traceback.", returncode=code) from problem
