"""`manage.py revoke_api_key`: end a key for good."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from config.access import keys
from config.access.management.key_command import USAGE, KeyCommand


class Command(KeyCommand):
    help = "Revoke an API key by its prefix (the part before the dot). It stops at once, and for good."
    examples = "  manage.py list_api_keys\n  manage.py revoke_api_key 9dKp2mXz"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("prefix", metavar="PREFIX", help="as list_api_keys shows it")

    def run(self, **options: Any) -> None:
        """Revoke it."""
        prefix = options["prefix"]
        try:
            key, changed = keys.revoke(prefix)
        except keys.UnknownPrefix as unknown:
            nearest = f" Did you mean {unknown.nearest}?" if unknown.nearest else " See manage.py list_api_keys."
            raise CommandError(f"No API key has the prefix {prefix!r}.{nearest}", returncode=USAGE) from None
        done = "is revoked" if changed else "was revoked already"
        self.stdout.write(f"API key {key.prefix} for {key.name!r} {done}.")
