#!/usr/bin/env python3
"""Continuity's command line."""

import os
import sys

from config.environment import SettingError


def main(argv: list[str]) -> None:
    """Run a management command. A missing or wrong setting prints one line on stderr and exits with 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.stdout is None:  # closed, as by `>&-` in a crontab
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    for argument in argv:
        # Python decodes bytes outside UTF-8 as surrogates.
        if any("\ud800" <= character <= "\udfff" for character in argument):
            sys.stderr.write(f"{argument!a} is not UTF-8.\n")
            sys.exit(2)
    try:
        if argv[1:2] == ["demo"]:
            # The settings need the addresses of the demo's servers.
            from config.demo.launch import prepare

            prepare(argv)
        execute(argv)
    except SettingError as problem:
        sys.exit(problem.exit_with_line())


def execute(argv: list[str]) -> None:
    """Let Django run the command. An outage of PostgreSQL prints one line on stderr and exits with 3."""
    from django.core.management import execute_from_command_line

    from common.errors import is_outage, outage_message

    try:
        execute_from_command_line(argv)
    except Exception as error:
        if "--traceback" in argv or not is_outage(error):
            raise
        sys.stderr.write(f"{outage_message(error)}\n")
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv)
