"""API keys: issued once, kept as hashes, found by prefix; and the hashes that outlive an outage of PostgreSQL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final, Literal, Self

from django.db.models import Q
from django.utils import timezone
from rest_framework_api_key.models import AbstractAPIKey, APIKey

KEY: Final = re.compile(r"([A-Za-z0-9]{8})\.[A-Za-z0-9]{32}")
NAME_LENGTH: Final = 50  # of the library's column

State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of one API key; the key itself is known to its holder alone."""

    prefix: str
    name: str
    hashed_key: str
    created: datetime
    expires: datetime | None
    revoked: bool

    @classmethod
    def of(cls, row: AbstractAPIKey) -> Self:
        """Read one row."""
        return cls(
            prefix=row.prefix,
            name=row.name,
            hashed_key=row.hashed_key,
            created=row.created,
            expires=row.expiry_date,
            revoked=row.revoked,
        )

    @property
    def state(self) -> State:
        """Whether it is good now, and if not, why."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= timezone.now() else "active"

    def opens(self, secret: str) -> bool:
        """Whether this is the record of the complete key `secret` (compared in constant time)."""
        return bool(APIKey.objects.key_generator.verify(secret, self.hashed_key))


class UnknownPrefix(LookupError):  # noqa: N818 - what happened, as DoesNotExist is
    """No key has this prefix; `nearest` is the one that resembles it most, if any does."""

    def __init__(self, nearest: str | None) -> None:
        super().__init__()
        self.nearest = nearest


# Replaced as a whole by the refresher's thread, read by request threads: assignment is atomic.
_remembered: Mapping[str, Key] = {}


def prefix_of(secret: str) -> str | None:
    """Return the prefix of what looks like one of our keys, None for anything else: garbage never costs a query."""
    found = KEY.fullmatch(secret)
    return found[1] if found else None


def stored(prefix: str) -> Key | None:
    """Look a key up in PostgreSQL. Raises OperationalError when it cannot be asked."""
    row = APIKey.objects.filter(prefix=prefix).first()
    return Key.of(row) if row else None


def remembered(prefix: str) -> Key | None:
    """Return the key as this process last read it: what there is to go by while PostgreSQL is down."""
    return _remembered.get(prefix)


def remember() -> None:
    """Read all usable keys, to go by them in an outage; one that begins meanwhile leaves the last list in place."""
    global _remembered
    usable = APIKey.objects.filter(Q(expiry_date=None) | Q(expiry_date__gt=timezone.now()), revoked=False)
    _remembered = {row.prefix: Key.of(row) for row in usable}


def listed() -> list[Key]:
    """Return all keys, the newest first."""
    return [Key.of(row) for row in APIKey.objects.order_by("-created")]


def issue(name: str, days: int | None) -> tuple[Key, str]:
    """Make a key that is good for so many days, or until it is revoked; returns it and the secret to hand out."""
    expiry = timezone.now() + timedelta(days=days) if days else None
    row, secret = APIKey.objects.create_key(name=name, expiry_date=expiry)
    return Key.of(row), secret


def revoke(prefix: str) -> tuple[Key, bool]:
    """Revoke a key for good; returns it, and whether it was not revoked before. Raises UnknownPrefix."""
    # Compare and set: of two who revoke at once, one is told that it was revoked already.
    changed = APIKey.objects.filter(prefix=prefix, revoked=False).update(revoked=True)
    key = stored(prefix)
    if key is None:
        prefixes = APIKey.objects.values_list("prefix", flat=True)
        raise UnknownPrefix(next(iter(get_close_matches(prefix, prefixes, n=1)), None))
    return key, bool(changed)
