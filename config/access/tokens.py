"""JWTs: signed with today's key, verified with that and the older ones, so changing the key signs nobody out."""

from functools import cache
from typing import Any

from django.conf import settings
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

ALGORITHM = "HS256"


class RotatingBackend(TokenBackend):
    """Signs with the first of `keys` and accepts what any of them signed."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(ALGORITHM, signing_key=keys[0])
        self._older = [TokenBackend(ALGORITHM, signing_key=key) for key in keys[1:]]

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Return the payload. Raises TokenBackendError where no key fits, TokenBackendExpiredToken where it is old."""
        try:
            return super().decode(token, verify)
        except TokenBackendExpiredToken:
            raise
        except TokenBackendError:
            return self._decode_with_older(token, verify)

    def _decode_with_older(self, token: Any, verify: bool) -> dict[str, Any]:
        for backend in self._older:
            try:
                return backend.decode(token, verify)
            except TokenBackendExpiredToken:
                raise
            except TokenBackendError:
                continue
        raise TokenBackendError("Token is invalid")


@cache
def _backend(keys: tuple[str, ...]) -> RotatingBackend:
    return RotatingBackend(keys)


class Rotating:
    """Mixin: a token whose keys are those of the settings, as they are now."""

    def get_token_backend(self) -> TokenBackend:
        """Return the backend that signs and verifies it."""
        return _backend((settings.JWT_SIGNING_KEY, *settings.JWT_VERIFYING_KEYS))


class AccessToken(Rotating, tokens.AccessToken):
    """What a request shows; good for an hour."""


class RefreshToken(Rotating, tokens.RefreshToken):  # type: ignore[misc]
    """What buys new access tokens for some days."""

    access_token_class = AccessToken
