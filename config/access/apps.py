"""Authentication by JWT, session and API key."""

from importlib import import_module

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "config.access"
    label = "access"

    def ready(self) -> None:
        """Register the system checks."""
        import_module("config.access.checks")
