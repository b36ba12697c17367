"""What the API key commands share: examples in --help, and one line where PostgreSQL does not answer or refuses."""

import argparse
from typing import Any, ClassVar, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from common.errors import first_line, is_outage, missing_table, outage_message
from common.postgres.deadline import deadline

USAGE: Final = 2
COULD_NOT: Final = 3
PATIENCE: Final = 10.0


class KeyCommand(BaseCommand):
    """A command whose `run` may ask PostgreSQL: exit code 3 where it does not answer or refuses."""

    examples: ClassVar[str]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make the parser, with the examples as they are typed."""
        formatter = argparse.RawDescriptionHelpFormatter
        kwargs |= {"epilog": f"examples:\n{self.examples}", "formatter_class": formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it."""
        try:
            with deadline(PATIENCE):
                self.run(**options)
        except Error as error:
            raise CommandError(_explained(error), returncode=COULD_NOT) from None

    def run(self, **options: Any) -> None:
        """Do what the command is for."""
        raise NotImplementedError


def _explained(error: Error) -> str:
    if words := missing_table(error):
        return words
    if is_outage(error):
        return outage_message(error)
    return f"PostgreSQL (DATABASE_URL) refuses: {first_line(error)}. Let its role and server do that, then try again."
