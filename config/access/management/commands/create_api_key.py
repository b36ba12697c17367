"""`manage.py create_api_key`: print a new key on stdout, and everything about the key on stderr."""

from typing import Any, Final

from django.core.management.base import CommandParser

from common.arguments import InvalidInputError
from common.commands import ContinuityCommand
from common.times import format_minute
from config.access import keys

MAX_DAYS: Final = 36_500


def parse_name(text: str) -> str:
    """Return a valid name of a key."""
    name = text.strip()
    if not name or len(name) > keys.NAME_LENGTH or not name.isprintable():
        raise InvalidInputError(f"expected 1 to {keys.NAME_LENGTH} printable characters, got {text!r}")
    return name


def parse_days(text: str) -> int:
    """Return a number of days from 1 to MAX_DAYS."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MAX_DAYS:
        raise InvalidInputError(f"expected a whole number of days, 1 to {MAX_DAYS}, got {text!r}")
    return int(text)


class Command(ContinuityCommand):
    requires_system_checks = "__all__"
    help = "Create an API key for X-API-Key. The key is printed once, alone on stdout; only its hash is stored."
    epilog = """\
examples:
  manage.py create_api_key grafana --days 90
  KEY=$(manage.py create_api_key cron)        # only the key goes to stdout
  curl -H "X-API-Key: $KEY" https://continuity.example/health/detailed
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", type=parse_name, metavar="NAME", help="the person or program that uses the key")
        parser.add_argument("--days", type=parse_days, metavar="N", help="days until the key expires (default: never)")

    def run(self, *args: Any, **options: Any) -> None:
        key, secret = keys.issue(options["name"], options["days"])
        self.stdout.write(secret)
        until = f"until {format_minute(key.expiry_date)}" if key.expiry_date else "until it is revoked"
        self.stderr.write(f"API key {key.prefix} for {key.name!r}, good {until}. Keep it: it is not shown again.")
