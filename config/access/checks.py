"""System checks of the signing keys."""

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

# A key for HS256 should be at least as long as the hash (RFC 7518, 3.2).
MIN_KEY_BYTES: Final = 32


@register(Tags.security)
def check_key_length(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn of keys that could be guessed from a token."""
    keys = [(_signing_variable(), settings.JWT_SIGNING_KEY)]
    keys += [("JWT_VERIFYING_KEYS", key) for key in settings.JWT_VERIFYING_KEYS]
    return [
        checks.Warning(
            f"A key in {name} has {len(key.encode())} bytes.",
            hint=f"Use a random key of {MIN_KEY_BYTES} bytes or more: python -c 'import secrets; "
            "print(secrets.token_urlsafe(48))'. Whoever guesses the key can sign in as any user.",
            id="access.W001",
        )
        for name, key in keys
        if len(key.encode()) < MIN_KEY_BYTES
    ]


@register(Tags.security)
def check_key_separators(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn of a signing key that JWT_VERIFYING_KEYS, a list with commas, could not hold later."""
    if not any(mark.isspace() or mark == "," for mark in settings.JWT_SIGNING_KEY):
        return []
    hint = "Use a key without commas and spaces. Otherwise a change of the key signs out every user."
    return [checks.Warning(f"{_signing_variable()} contains commas or spaces.", hint=hint, id="access.W002")]


def _signing_variable() -> str:
    return "SECRET_KEY" if settings.JWT_SIGNING_KEY == settings.SECRET_KEY else "JWT_SIGNING_KEY"
