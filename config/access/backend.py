"""The authentication backend of every login form and endpoint, throttled."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from config.access.throttling import LoginThrottle


class ThrottledBackend(ModelBackend):
    """Django's ModelBackend with a limit on failures."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user with this password, or None. Raises TooManyFailures."""
        if request is None or not username:  # our own code, or nobody to count
            return super().authenticate(request, username, password, **kwargs)
        throttle = LoginThrottle(request, username)
        throttle.check()
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            throttle.count_failure()
        return user
