"""System checks: settings that parse but leave a door half open."""

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

# HS256 wants a key no shorter than its hash (RFC 7518, 3.2).
SHORTEST: Final = 32


@register(Tags.security)
def signing_keys_are_long(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn of keys that could be guessed from one token."""
    named = [(_signing_variable(), settings.JWT_SIGNING_KEY)]
    named += [("JWT_VERIFYING_KEYS", key) for key in settings.JWT_VERIFYING_KEYS]
    return [
        checks.Warning(
            f"A key in {name} has {len(key.encode())} bytes.",
            hint=f"Use {SHORTEST} or more, of a random generator: python -c 'import secrets; "
            "print(secrets.token_urlsafe(48))'. Whoever guesses it can sign in as anybody.",
            id="access.W001",
        )
        for name, key in named
        if len(key.encode()) < SHORTEST
    ]


@register(Tags.security)
def listed_keys_can_be_listed(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn of a signing key that could not be moved to JWT_VERIFYING_KEYS, a list by commas, at the next change."""
    if not any(mark.isspace() or mark == "," for mark in settings.JWT_SIGNING_KEY):
        return []
    hint = "Use a key without them, or all who are signed in must sign in again when it is changed."
    return [checks.Warning(f"{_signing_variable()} has commas or spaces in it.", hint=hint, id="access.W002")]


def _signing_variable() -> str:
    """Which variable the signing key came from: SECRET_KEY signs where JWT_SIGNING_KEY is not set."""
    return "SECRET_KEY" if settings.JWT_SIGNING_KEY == settings.SECRET_KEY else "JWT_SIGNING_KEY"
