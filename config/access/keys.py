"""API keys: created once, stored as hashes, looked up by prefix, and remembered for an outage of PostgreSQL."""

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
    """The record of an API key. Only the holder has the secret."""

    prefix: str
    name: str
    hashed_key: str
    created: datetime
    expires: datetime | None
    revoked: bool

    @classmethod
    def of(cls, row: AbstractAPIKey) -> Self:
        """Return the record of a row."""
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
        """Return whether the key is valid now."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= timezone.now() else "active"

    def matches(self, secret: str) -> bool:
        """Return whether `secret` is the complete key. The comparison takes constant time."""
        return bool(APIKey.objects.key_generator.verify(secret, self.hashed_key))


class UnknownPrefix(LookupError):  # noqa: N818 - named like DoesNotExist
    """No key has this prefix. `nearest` is a similar prefix or None."""

    def __init__(self, nearest: str | None) -> None:
        super().__init__()
        self.nearest = nearest


# The refresher's thread replaces the mapping; request threads read. An assignment is atomic.
_remembered: Mapping[str, Key] = {}


def prefix_of(secret: str) -> str | None:
    """Return the prefix of a well-formed key. Return None for other text, so that garbage costs no query."""
    match = KEY.fullmatch(secret)
    return match[1] if match else None


def stored(prefix: str) -> Key | None:
    """Return the key from PostgreSQL. Raises OperationalError in an outage."""
    row = APIKey.objects.filter(prefix=prefix).first()
    return Key.of(row) if row else None


def remembered(prefix: str) -> Key | None:
    """Return the key as this process last read it, for use in an outage."""
    return _remembered.get(prefix)


def remember() -> None:
    """Read all valid keys for a later outage. An outage during the query keeps the previous keys."""
    global _remembered
    valid = APIKey.objects.filter(Q(expiry_date=None) | Q(expiry_date__gt=timezone.now()), revoked=False)
    _remembered = {row.prefix: Key.of(row) for row in valid}


def listed() -> list[Key]:
    """Return all keys, the newest first."""
    return [Key.of(row) for row in APIKey.objects.order_by("-created")]


def issue(name: str, days: int | None) -> tuple[Key, str]:
    """Create a key, valid for some days or until revoked. Return the record and the secret."""
    expiry = timezone.now() + timedelta(days=days) if days else None
    row, secret = APIKey.objects.create_key(name=name, expiry_date=expiry)
    return Key.of(row), secret


def revoke(prefix: str) -> tuple[Key, bool]:
    """Revoke a key for good. Return the record and whether the key was valid before. Raises UnknownPrefix."""
    # Compare and set: of two simultaneous calls, only the first returns True.
    changed = APIKey.objects.filter(prefix=prefix, revoked=False).update(revoked=True)
    key = stored(prefix)
    if key is None:
        prefixes = APIKey.objects.values_list("prefix", flat=True)
        raise UnknownPrefix(next(iter(get_close_matches(prefix, prefixes, n=1)), None))
    return key, bool(changed)
