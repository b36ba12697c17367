"""JWTs that survive a change of the signing key: older keys still verify."""

import re
from functools import cache
from typing import Any

from django.conf import settings
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken, TokenError

ALGORITHM = "HS256"
USER_ID = re.compile("[1-9][0-9]{0,18}")


class RotatingBackend(TokenBackend):
    """Sign with the first key and verify with every key."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(ALGORITHM, signing_key=keys[0])
        self._older = [TokenBackend(ALGORITHM, signing_key=key) for key in keys[1:]]

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the payload. Raises TokenBackendExpiredToken, or TokenBackendError if no key fits."""
        for decode in (super().decode, *(backend.decode for backend in self._older)):
            try:
                return decode(token, verify)
            except TokenBackendExpiredToken:
                raise
            except TokenBackendError:
                continue
        raise TokenBackendError("Token is invalid")


@cache
def _backend(keys: tuple[str, ...]) -> RotatingBackend:
    return RotatingBackend(keys)


class RotatingToken:
    """Mixin for tokens that use the keys of the settings."""

    payload: dict[str, Any]

    def get_token_backend(self) -> TokenBackend:
        return _backend((settings.JWT_SIGNING_KEY, *settings.JWT_VERIFYING_KEYS))

    def verify(self) -> None:
        """Check the claims. Another service may sign with the same key, and use other claims. Raises TokenError."""
        try:
            super().verify()  # type: ignore[misc]
        except (OSError, OverflowError, TypeError, ValueError):  # an `exp` that is no time
            raise TokenError("Token is invalid") from None
        if not USER_ID.fullmatch(str(self.payload.get("user_id"))):
            raise TokenError("Token names no user")


class AccessToken(RotatingToken, tokens.AccessToken):
    """The token of a request, valid for an hour."""


class RefreshToken(RotatingToken, tokens.RefreshToken):  # type: ignore[misc]
    """The token that buys access tokens, valid for seven days."""

    access_token_class = AccessToken
