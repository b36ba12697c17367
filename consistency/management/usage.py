"""Wrong usage, told in one sentence: above it a page of usage would bury what is wrong."""

from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser


class BriefParser(CommandParser):
    """Says what is wrong, and where to read on."""

    def error(self, message: str) -> NoReturn:
        """End with 2; called from Python, it raises, as Django's does."""
        if not self.called_from_command_line:
            raise CommandError(f"Error: {message}")
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


class BriefCommand(BaseCommand):
    """A command with such a parser."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's, which takes no class of parser."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = BriefParser
        return parser
