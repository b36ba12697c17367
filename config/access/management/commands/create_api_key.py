"""`manage.py create_api_key`: a new key on stdout, once and alone; all words about it on stderr."""

import argparse
from typing import Any

from django.core.management.base import CommandParser

from config.access import keys
from config.access.management.key_command import KeyCommand

LONGEST = 36_500


def key_name(text: str) -> str:
    """Return a usable name, or raise what argparse turns into a usage error."""
    name = text.strip()
    if not name or len(name) > keys.NAME_LENGTH or not name.isprintable():
        raise argparse.ArgumentTypeError(f"expected 1 to {keys.NAME_LENGTH} printable characters, got {text!r}")
    return name


def days(text: str) -> int:
    """Return a number of days, or raise what argparse turns into a usage error."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected a whole number of days, 1 to {LONGEST}, got {text!r}")
    return int(text)


class Command(KeyCommand):
    help = "Create an API key for X-API-Key. The key is printed once, alone on stdout; only its hash is kept."
    examples = (
        "  manage.py create_api_key grafana --days 90\n"
        "  KEY=$(manage.py create_api_key cron)        # only the key goes to stdout\n"
        '  curl -H "X-API-Key: $KEY" https://continuity.example/health/detailed'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", type=key_name, metavar="NAME", help="who or what will use it")
        parser.add_argument("--days", type=days, metavar="N", help="days until it expires (default: never)")

    def run(self, **options: Any) -> None:
        """Create it."""
        key, secret = keys.issue(options["name"], options["days"])
        self.stdout.write(secret)
        until = f"until {key.expires:%Y-%m-%d %H:%M} UTC" if key.expires else "until it is revoked"
        self.stderr.write(f"API key {key.prefix} for {key.name!r}, good {until}. Keep it: it is not shown again.")
