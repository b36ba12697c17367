"""`manage.py revoke_api_key`: revoke a key for good."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from common.commands import USAGE, ContinuityCommand
from config.access import keys


class Command(ContinuityCommand):
    requires_system_checks = "__all__"
    help = "Revoke an API key by its prefix (the part before the dot), at once and for good."
    epilog = """\
examples:
  manage.py list_api_keys
  manage.py revoke_api_key 9dKp2mXz
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", metavar="PREFIX", help="the prefix that list_api_keys shows")

    def run(self, *args: Any, **options: Any) -> None:
        prefix = options["prefix"]
        try:
            key, changed = keys.revoke(prefix)
        except keys.UnknownPrefix as unknown:
            hint = f"Did you mean {unknown.nearest}?" if unknown.nearest else "See manage.py list_api_keys."
            raise CommandError(f"No API key has the prefix {prefix!r}. {hint}", returncode=USAGE) from None
        result = "is revoked" if changed else "was revoked already"
        self.stdout.write(f"API key {key.prefix} for {key.name!r} {result}.")
