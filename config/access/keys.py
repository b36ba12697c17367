"""API keys: created once, stored as hashes, looked up by prefix, and remembered for an outage of PostgreSQL."""

import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, Literal

from django.db.models import Q
from django.utils import timezone
from rest_framework_api_key.models import AbstractAPIKey, APIKey

KEY: Final = re.compile(r"([A-Za-z0-9]{8})\.[A-Za-z0-9]{32}")
NAME_LENGTH: Final = 50  # of the library's column

State = Literal["active", "expired", "revoked"]


class UnknownPrefix(LookupError):  # noqa: N818 - named like DoesNotExist
    """No key has this prefix. `nearest` is a similar prefix or None."""

    def __init__(self, nearest: str | None) -> None:
        super().__init__()
        self.nearest = nearest


# The refresher's thread replaces the mapping; request threads read. An assignment is atomic.
_remembered: Mapping[str, APIKey] = {}


def state(key: APIKey) -> State:
    """Return whether the key is valid now."""
    if key.revoked:
        return "revoked"
    return "expired" if key.has_expired else "active"


def matches(key: APIKey, secret: str) -> bool:
    """Return whether `secret` is the complete key, in constant time. APIKey.is_valid() may write to the database."""
    return bool(APIKey.objects.key_generator.verify(secret, key.hashed_key))


def prefix_of(secret: str) -> str | None:
    """Return the prefix of a well-formed key. Return None for other text, so that garbage costs no query."""
    match = KEY.fullmatch(secret)
    return match[1] if match else None


def stored(prefix: str) -> APIKey | None:
    """Return the key from PostgreSQL. Raises OperationalError in an outage."""
    return APIKey.objects.filter(prefix=prefix).first()


def remembered(prefix: str) -> APIKey | None:
    """Return the key as this process last read it, for use in an outage."""
    return _remembered.get(prefix)


def remember() -> None:
    """Read all valid keys for a later outage. An outage during the query keeps the previous keys."""
    global _remembered
    valid = APIKey.objects.filter(Q(expiry_date=None) | Q(expiry_date__gt=timezone.now()), revoked=False)
    _remembered = {key.prefix: key for key in valid}


def issue(name: str, days: int | None) -> tuple[AbstractAPIKey, str]:
    """Create a key, valid for some days or until revoked. Return the key and the secret."""
    expiry = timezone.now() + timedelta(days=days) if days else None
    return APIKey.objects.create_key(name=name, expiry_date=expiry)


def revoke(prefix: str) -> tuple[APIKey, bool]:
    """Revoke a key for good. Return the key and whether the key was valid before. Raises UnknownPrefix."""
    # Compare and set: of two simultaneous calls, only the first returns True.
    changed = APIKey.objects.filter(prefix=prefix, revoked=False).update(revoked=True)
    key = stored(prefix)
    if key is None:
        prefixes = APIKey.objects.values_list("prefix", flat=True)
        raise UnknownPrefix(next(iter(get_close_matches(prefix, prefixes, n=1)), None))
    return key, bool(changed)
