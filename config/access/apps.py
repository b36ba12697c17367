"""Who may ask: JWT, session, API key."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "config.access"
    label = "access"
