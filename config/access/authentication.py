"""Authenticate a request by JWT, API key or session, each looked up in PostgreSQL within a second.

While PostgreSQL is down, a JWT is accepted by signature and an API key by its remembered hash. Credentials that
cannot be verified (a session, an unknown key, a locked table) raise OperationalError: config/errors.py answers 503,
never 401.
"""

from typing import Any, Final, cast

from django.contrib.auth.models import User
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_api_key.models import APIKey
from rest_framework_simplejwt import authentication as simplejwt
from rest_framework_simplejwt.models import TokenUser
from rest_framework_simplejwt.tokens import Token

from common.errors import DATABASE_ERRORS, is_outage, kind_of
from common.meanings import Kind
from common.postgres.deadline import deadline
from config.access import keys
from config.access.principal import KeyHolder
from health.runs.result import ERROR
from health.snapshot import snapshot

LOOKUP_TIMEOUT: Final = 0.8
# For a new run of the PostgreSQL probe. With the lookup, less than the 2 seconds of /health/detailed.
PROBE_TIMEOUT: Final = 1.2
HEADER: Final = "X-API-Key"


class JWTAuthentication(simplejwt.JWTAuthentication):
    """Accept `Authorization: Bearer <token>` of an active user whose password has not changed."""

    def get_user(self, validated_token: Token) -> User | TokenUser:  # type: ignore[override]
        """Return the token's user. In an outage, return the user that the signed token describes."""
        try:
            return self.stored_user(validated_token)
        except DATABASE_ERRORS as error:
            if not _is_down(error):
                raise
            return TokenUser(validated_token)

    def stored_user(self, validated_token: Token) -> User:
        """Return the token's user from PostgreSQL. Raises AuthenticationFailed, OperationalError."""
        with deadline(LOOKUP_TIMEOUT):
            return cast(User, super().get_user(validated_token))


class APIKeyAuthentication(authentication.BaseAuthentication):
    """Accept `X-API-Key: <key>`. The user is a KeyHolder, `request.auth` the APIKey."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, APIKey] | None:
        """Return the holder and the key; None without the header. Raises AuthenticationFailed, OperationalError."""
        secret = request.headers.get(HEADER)
        if not secret:
            return None
        prefix = keys.prefix_of(secret)
        key = _find(prefix) if prefix else None
        if key is None or not keys.matches(key, secret):
            raise AuthenticationFailed("The API key is unknown.")
        if (state := keys.state(key)) != "active":
            # Reported to holders of the whole key only.
            raise AuthenticationFailed(f"The API key is {state}.")
        return KeyHolder(key.prefix, key.name), key

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="api"'


def _find(prefix: str) -> APIKey | None:
    try:
        with deadline(LOOKUP_TIMEOUT):
            return keys.stored(prefix)
    except DATABASE_ERRORS as error:
        if (key := keys.remembered(prefix)) and _is_down(error):
            return key
        raise


def _is_down(error: Exception) -> bool:
    """Return whether PostgreSQL is down for every client. A locked table times out too, but must not admit anybody."""
    if not is_outage(error):
        return False
    # Without memory or disk, the probe's `SELECT 1` may succeed.
    if kind_of(error) is Kind.EXHAUSTED or snapshot.known_down("postgres"):
        return True
    result = snapshot.refresh(["postgres"], budget=PROBE_TIMEOUT, fresh=True)["postgres"]
    return result.status == ERROR and result.known


class SessionAuthentication(authentication.SessionAuthentication):
    """Accept the session cookie of `/api/v1/auth/login` or the admin. Unsafe methods need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the session's user, None without a session. Raises PermissionDenied (CSRF), OperationalError."""
        with deadline(LOOKUP_TIMEOUT):
            return super().authenticate(request)
