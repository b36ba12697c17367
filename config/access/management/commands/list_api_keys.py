"""`manage.py list_api_keys`: who holds a key, and whether it is still good."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser

from config.access import keys
from config.access.keys import Key
from config.access.management.key_command import KeyCommand

COLUMNS = ("prefix", "name", "created", "expires", "state")


def _stamp(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None


def _entry(key: Key) -> dict[str, str | None]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "created": _stamp(key.created),
        "expires": _stamp(key.expires),
        "state": key.state,
    }


class Command(KeyCommand):
    help = "List the API keys, the newest first: prefix, name, created, expires, state (active, expired, revoked)."
    examples = (
        "  manage.py list_api_keys\n"
        "  manage.py list_api_keys --format json | jq -r '.[] | select(.state == \"active\") | .prefix'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")

    def run(self, **options: Any) -> None:
        """Print them."""
        entries = [_entry(key) for key in keys.listed()]
        if options["format"] == "json":
            self.stdout.write(json.dumps(entries, indent=2, ensure_ascii=False))
        elif entries:
            self.stdout.write(_table(entries))
        else:
            self.stderr.write("There are no API keys. Create one: manage.py create_api_key NAME")


def _table(entries: list[dict[str, str | None]]) -> str:
    rows = [COLUMNS, *((*(entry[column] or "never" for column in COLUMNS),) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
