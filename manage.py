#!/usr/bin/env python3
"""Continuity's command line."""

import os
import sys

from config.environment import SettingError


def main(argv: list[str]) -> None:
    """Run one management command; a wrong or missing setting is one line on stderr and exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.stdout is None:  # closed, as by `>&-` in a crontab
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    for word in argv:
        if any("\ud800" <= letter <= "\udfff" for letter in word):  # Python's stand-ins for bytes that are none
            sys.stderr.write(f"{word!a} is not UTF-8.\n")
            sys.exit(2)
    try:
        if argv[1:2] == ["demo"]:
            # The demo's servers must have addresses before the settings that read them are imported.
            from config.demo.launch import prepare

            prepare(argv)
        execute(argv)
    except SettingError as problem:
        sys.exit(problem.exit_with_line())


def execute(argv: list[str]) -> None:
    """Let Django run it; of an outage, which no traceback explains, one line on stderr and exit code 3."""
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
