"""The demo's administrator and API key, renewed on every start."""

import secrets

from django.contrib.auth import get_user_model
from rest_framework_api_key.models import APIKey

from config.access import keys

ADMINISTRATOR = "admin"
KEY_NAME = "demo"


def renew_administrator() -> str:
    """Give the administrator a new password and return the password. Earlier sessions end."""
    password = secrets.token_urlsafe(12)
    user, _ = get_user_model().objects.get_or_create(username=ADMINISTRATOR)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return password


def renew_key() -> tuple[str, int]:
    """Create an API key and revoke the earlier keys. Return the secret and the number of revoked keys."""
    revoked = APIKey.objects.filter(name=KEY_NAME, revoked=False).update(revoked=True)
    _, secret = keys.issue(KEY_NAME, None)
    return secret, revoked
