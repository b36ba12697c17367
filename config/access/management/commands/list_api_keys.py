"""`manage.py list_api_keys`: list the API keys and their states."""

import json
from datetime import datetime
from typing import Any, Final

from django.core.management.base import CommandParser
from rest_framework_api_key.models import APIKey

from common.commands import ContinuityCommand
from common.output import table_text
from common.times import format_instant
from config.access import keys

COLUMNS: Final = ("prefix", "name", "created", "expires", "state")


class Command(ContinuityCommand):
    requires_system_checks = "__all__"
    help = "List the API keys, newest first: prefix, name, created, expires, state (active, expired, revoked)."
    epilog = """\
examples:
  manage.py list_api_keys
  manage.py list_api_keys --format json | jq -r '.[] | select(.state == "active") | .prefix'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")

    def run(self, *args: Any, **options: Any) -> None:
        entries = [_entry(key) for key in APIKey.objects.order_by("-created")]
        if options["format"] == "json":
            self.stdout.write(json.dumps(entries, indent=2, ensure_ascii=self.stdout.isatty()))
        elif entries:
            rows = [[entry[column] or "never" for column in COLUMNS] for entry in entries]
            self.stdout.write(table_text(COLUMNS, rows))
        else:
            self.stderr.write("There are no API keys. Create one: manage.py create_api_key NAME")


def _entry(key: APIKey) -> dict[str, str | None]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "created": _instant(key.created),
        "expires": _instant(key.expiry_date),
        "state": keys.state(key),
    }


def _instant(moment: datetime | None) -> str | None:
    return format_instant(moment) if moment else None
