"""The one way in for passwords: the API's, the admin's and any later login form pass here and are throttled."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from config.access.throttling import Attempt


class ThrottledBackend(ModelBackend):
    """Django's own backend, counting failures."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user whose password it is. Raises TooManyAttempts; a call without a request is our own code's."""
        if request is None or not username:
            return super().authenticate(request, username, password, **kwargs)
        attempt, failed = Attempt.begin(request, username), False
        try:
            user = super().authenticate(request, username, password, **kwargs)
            failed = user is None
            return user
        finally:
            # An outage of PostgreSQL is not the user's failure either.
            attempt.fail() if failed else attempt.forgive()
