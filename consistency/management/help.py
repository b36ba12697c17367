"""What check_consistency takes, and what its --help says below."""

from argparse import RawDescriptionHelpFormatter
from functools import partial
from pathlib import Path
from typing import Final

from django.core.management.base import CommandParser, DjangoHelpFormatter
from django.db import connections

from common.arguments import parse_count, parse_pause, parse_seconds
from common.choices import validate_choice
from consistency.registry import CHECKS, Severity
from consistency.scan.selection import tags

FAIL_LEVELS: Final = {severity.word: severity.value for severity in Severity} | {"never": max(Severity) + 1}

EPILOG: Final = """\
examples:
  check_consistency                                    the default checks, for people
  check_consistency --quiet                            for cron: no output while there is nothing to act on
  check_consistency orphaned_processing --format csv   every finding of one check
  check_consistency --tag jobs --format json --output /var/lib/report.json
  check_consistency --only-new --confirm 30s           fail only on what is new or back, and only if two looks agree
  check_consistency --sql stale_processing | psql      what it asks, for you to ask

What it finds is remembered in the database `default` (show_scans, show_anomalies); what was acknowledged or muted is
counted and told in a line, and decides nothing. The report ends with the news, zeros too: 3 new, 0 returned, 12
resolved; json, ndjson and csv have them as `recorded`. Where nothing is recorded, nobody knows them.

exit codes:
  0  clean: nothing at or above --fail-level that nobody has silenced; or --skip-if-running, and another scan came first
  1  found something at or above --fail-level; with --only-new: something new or returned
  2  wrong usage
  3  could not check: a check did not run, PostgreSQL cannot be reached, another scan came first, or the report cannot
     be written; wins over 0 and 1
  130, 143, 129  ended by Ctrl-C, SIGTERM or SIGHUP; a scan is recorded whole or not at all

What is new, worse or recovered is told by the webhook and the e-mail that the settings name, for 10 s at most.
If only the recording, or the telling, fails, report and exit code stand, and stderr says why.
"""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's, with the lines of the epilog as they are."""


def add_arguments(parser: CommandParser, formats: tuple[str, ...]) -> None:
    """Declare what check_consistency takes."""
    name = partial(validate_choice, "check", allowed=CHECKS)
    tag = partial(validate_choice, "tag", allowed=tags())
    alias = partial(validate_choice, "database", allowed=list(connections))
    add = parser.add_argument
    add("names", nargs="*", metavar="CHECK", type=name, help="run these checks only")
    add("-t", "--tag", action="append", default=[], metavar="TAG", type=tag, help="run the checks with this tag")
    add("--list-checks", action="store_true", help="name all checks, and ask nothing")
    add("--sql", action="store_true", help="print the SQL of the checks, and ask nothing")
    add("--database", default="default", metavar="ALIAS", type=alias, help="which database to ask (default)")
    add("--limit", metavar="N", type=parse_count, help="rows per check (text 10, json 100, others all)")
    add("--timeout", metavar="S", type=parse_seconds, help="seconds per look (60; ndjson, csv 300)")
    add(
        "--fail-level",
        default=Severity.WARN.value,
        metavar="LEVEL",
        type=_severity_value,
        help="info, warn (default), error or never",
    )
    add("--format", default="text", choices=formats, help="text (default), json, ndjson, csv")
    add("--output", metavar="FILE", type=Path, help="write there, whole or not at all")
    add("--no-record", action="store_true", help="remember nothing, and so know no news")
    add(
        "--confirm",
        metavar="TIME",
        type=parse_pause,
        help="look twice, so far apart (30s, 2m; 0s: once), and report what both saw (CONSISTENCY_CONFIRM)",
    )
    add("--skip-if-running", action="store_true", help="exit 0 if another scan of this database came first")
    add("--only-new", action="store_true", help="fail only on what is new or returned since the last scan")
    add("--dry-run-notices", action="store_true", help="show what would be sent; send nothing, remember nothing")
    add(
        "--quiet",
        action="store_true",
        help="print nothing, no news line either, while nothing reaches --fail-level and all checks ran",
    )


def _severity_value(text: str) -> int:
    return FAIL_LEVELS[validate_choice("level", text, FAIL_LEVELS)]
