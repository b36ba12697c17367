"""Who asks: a JWT, an API key or a session, looked up in PostgreSQL each time, within a second.

While PostgreSQL is down a JWT counts by its signature and an API key by the remembered hash; what cannot be checked
(a session, a key that nobody remembers, a table that is locked) ends as 503, through OperationalError and
config/errors.py, never as 401.
"""

from typing import Any, Final, cast

from django.contrib.auth.models import User
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt import authentication as simplejwt
from rest_framework_simplejwt.models import TokenUser
from rest_framework_simplejwt.tokens import Token

from common.errors import DATABASE_ERRORS, is_outage
from common.postgres.deadline import deadline
from config.access import keys
from config.access.keys import Key
from config.access.principal import KeyHolder
from health.snapshot import snapshot
from health.verdict import ERROR

# Seconds for the look-up; config/wsgi.py leaves a whole request a tenth of one while PostgreSQL is known to be down.
LOOK_UP: Final = 0.8
# Seconds for the probe that is asked next, which itself takes one: together within the two of /health/detailed.
SECOND_OPINION: Final = 1.2
HEADER: Final = "X-API-Key"


class JWTAuthentication(simplejwt.JWTAuthentication):
    """`Authorization: Bearer <token>`, of a user who is still there, active and with the same password."""

    def get_user(self, validated_token: Token) -> User | TokenUser:  # type: ignore[override]
        """Return the token's user, or in an outage what the signed token itself says."""
        try:
            return self.look_up(validated_token)
        except DATABASE_ERRORS as error:
            if not _is_down(error):
                raise
            return TokenUser(validated_token)

    def look_up(self, validated_token: Token) -> User:
        """Return the token's user as PostgreSQL knows it. Raises AuthenticationFailed, OperationalError."""
        try:
            with deadline(LOOK_UP):
                return cast(User, super().get_user(validated_token))
        except ValueError:
            # Another service may sign with the same key and call its users by other ids.
            raise AuthenticationFailed("The token is not one of this service.") from None


class APIKeyAuthentication(authentication.BaseAuthentication):
    """`X-API-Key: <key>`; the principal is a KeyHolder, `request.auth` the Key."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, Key] | None:
        """Return who holds the key, None without the header. Raises AuthenticationFailed, OperationalError."""
        secret = request.headers.get(HEADER)
        if not secret:
            return None
        prefix = keys.prefix_of(secret)
        key = _look_up(prefix) if prefix else None
        if key is None or not key.opens(secret):
            raise AuthenticationFailed("The API key is unknown.")
        if key.state != "active":
            # Said only to who holds the whole key.
            raise AuthenticationFailed(f"The API key is {key.state}.")
        return KeyHolder(key.prefix, key.name), key

    def authenticate_header(self, request: Request) -> str:
        """Return WWW-Authenticate, where this authenticator stands first."""
        return 'ApiKey realm="api"'


def _look_up(prefix: str) -> Key | None:
    try:
        with deadline(LOOK_UP):
            return keys.stored(prefix)
    except DATABASE_ERRORS as error:
        if (key := keys.remembered(prefix)) and _is_down(error):
            return key
        raise


def _is_down(error: Exception) -> bool:
    """Whether PostgreSQL is down, for whoever asks: a locked table is silent too, and must not let anybody in."""
    if not is_outage(error):
        return False
    if snapshot.known_down("postgres"):
        return True
    verdict = snapshot.ask(["postgres"], budget=SECOND_OPINION, fresh=True)["postgres"]
    return verdict.status == ERROR and verdict.known


class SessionAuthentication(authentication.SessionAuthentication):
    """The session cookie of `/api/v1/auth/login` or the admin; what changes something must show the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the session's user, None without a session. Raises PermissionDenied (CSRF), OperationalError."""
        with deadline(LOOK_UP):
            return super().authenticate(request)
