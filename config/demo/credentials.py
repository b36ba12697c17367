"""Who may enter the demo: one administrator and one API key, both new each time."""

import secrets

from django.contrib.auth import get_user_model
from rest_framework_api_key.models import APIKey

from config.access import keys

ADMINISTRATOR = "admin"
KEY_NAME = "demo"


def renew_administrator() -> str:
    """Give the administrator a new password and return it; sessions under the old one end."""
    password = secrets.token_urlsafe(12)
    user, _ = get_user_model().objects.get_or_create(username=ADMINISTRATOR)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return password


def renew_key() -> tuple[str, int]:
    """Issue an API key and revoke those of earlier runs; returns the key and how many were revoked."""
    revoked = APIKey.objects.filter(name=KEY_NAME, revoked=False).update(revoked=True)
    _, secret = keys.issue(KEY_NAME, None)
    return secret, revoked
