#!/usr/bin/env python3
"""Continuity's command line."""

import os
import sys

from config.environment import SettingError


def main(argv: list[str]) -> None:
    """Run one management command; a wrong or missing setting is one line on stderr and exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        if argv[1:2] == ["demo"]:
            # The demo's servers must have addresses before the settings that read them are imported.
            from config.demo.launch import prepare

            prepare(argv)
        from django.core.management import execute_from_command_line

        execute_from_command_line(argv)
    except SettingError as problem:
        sys.exit(problem.exit_with_line())


if __name__ == "__main__":
    main(sys.argv)
