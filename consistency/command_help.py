"""What check_consistency --help says below its options."""

from argparse import RawDescriptionHelpFormatter
from typing import Final

from django.core.management.base import DjangoHelpFormatter

EPILOG: Final = """\
examples:
  check_consistency                                    the default checks, for people
  check_consistency --quiet                            for cron: no output while there is nothing to act on
  check_consistency orphaned_processing --format csv   every finding of one check
  check_consistency --tag jobs --format json --output /var/lib/report.json
  check_consistency --only-new --confirm 30s           fail only on what is new or back, and only if two looks agree
  check_consistency --sql stale_processing | psql      what it asks, for you to ask

What it finds is remembered in the database `default` (show_scans, show_anomalies); what was acknowledged or muted is
counted, shown, and decides nothing.

exit codes:
  0  clean: nothing at or above --fail-level that nobody has silenced; or --skip-if-running, and another scan came first
  1  found something at or above --fail-level; with --only-new: something new or returned
  2  wrong usage
  3  could not check: a check did not run, PostgreSQL cannot be reached, or another scan came first; wins over 0 and 1

What is new, worse or recovered is told by the webhook and the e-mail that the settings name, for 10 s at most.
If only the recording, or the telling, fails, report and exit code stand, and stderr says why.
"""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's, with the lines of the epilog as they are."""
