"""Options, examples and exit codes of check_consistency."""

from functools import partial
from pathlib import Path
from typing import Final

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from common.arguments import parse_count, parse_pause, parse_seconds
from common.choices import validate_choice
from consistency.registry import CHECKS, Severity
from consistency.scan.selection import tags

FAIL_LEVELS: Final = {severity.word: severity.value for severity in Severity} | {"never": max(Severity) + 1}

EPILOG: Final = """\
examples:
  check_consistency                                    the default checks, for people
  check_consistency --quiet                            for cron: no output while nothing needs attention
  check_consistency orphaned_processing --format csv   all findings of a check
  check_consistency --tag jobs --format json --output /var/lib/report.json
  check_consistency --only-new --confirm 30s           fail only on new findings that two passes confirm
  check_consistency --sql stale_processing | psql      run the SQL of a check yourself

A scan is recorded in the database `default`; show_scans and show_anomalies read the records. Acknowledged and muted
findings are counted, but do not affect the exit code. The report of a recorded scan ends with its changes, also with
zeros: 3 new, 0 returned, 12 resolved. The formats json, ndjson and csv hold the changes as `recorded`.

exit codes:
  0  clean: no unsuppressed finding at or above --fail-level; or --skip-if-running, and another scan came first
  1  found a finding at or above --fail-level; with --only-new: a new or returned finding
  2  wrong usage
  3  could not check: a check did not run, PostgreSQL cannot be reached, another scan came first, or the report cannot
     be written; wins over 0 and 1
  130, 143, 129  ended by Ctrl-C, SIGTERM or SIGHUP; a scan is recorded whole or not at all

The configured webhook and e-mail addresses receive what is new, worse or recovered, within 10 s. If only the recording
or a notice fails, the report and the exit code stay, and stderr shows the reason.
"""


def add_arguments(parser: CommandParser, formats: tuple[str, ...]) -> None:
    """Declare the arguments of check_consistency."""
    check = partial(validate_choice, "check", allowed=CHECKS)
    tag = partial(validate_choice, "tag", allowed=tags())
    alias = partial(validate_choice, "database", allowed=list(connections))
    add = parser.add_argument
    add("names", nargs="*", metavar="CHECK", type=check, help="run only these checks")
    add("-t", "--tag", action="append", default=[], metavar="TAG", type=tag, help="run the checks with this tag")
    add("--list-checks", action="store_true", help="list all checks, and run none")
    add("--sql", action="store_true", help="print the SQL of the checks, and run none")
    add("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", type=alias, help="database to scan (default)")
    add("--limit", metavar="N", type=parse_count, help="rows per check (text 10, json 100, others all)")
    add("--timeout", metavar="S", type=parse_seconds, help="seconds per pass (60; ndjson, csv 300)")
    add(
        "--fail-level",
        default=Severity.WARN.value,
        metavar="LEVEL",
        type=_severity_value,
        help="info, warn (default), error or never",
    )
    add("--format", default="text", choices=formats, help="text (default), json, ndjson, csv")
    add("--output", metavar="FILE", type=Path, help="write the report to this file, whole or not at all")
    add("--no-record", action="store_true", help="do not record the scan; its changes are unknown")
    add(
        "--confirm",
        metavar="TIME",
        type=parse_pause,
        help="run two passes with this pause (30s, 2m; 0s: one pass); both must find a finding (CONSISTENCY_CONFIRM)",
    )
    add("--accept-tables", action="store_true", help="accept different or emptied tables from this scan on")
    add(
        "--accept-ratio",
        action="store_true",
        help="accept the share of missing objects of the named external checks from this scan on",
    )
    add("--skip-if-running", action="store_true", help="exit 0 if another scan of this database came first")
    add("--only-new", action="store_true", help="fail only on findings that are new or returned since the last scan")
    add("--dry-run-notices", action="store_true", help="show the notices; send nothing and record nothing")
    add(
        "--quiet",
        action="store_true",
        help="print nothing, not even the changes, while no finding reaches --fail-level and all checks ran",
    )


def _severity_value(text: str) -> int:
    return FAIL_LEVELS[validate_choice("level", text, FAIL_LEVELS)]
