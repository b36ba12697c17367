"""The app registers the probes of every installed app."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class HealthConfig(AppConfig):
    name = "health"

    def ready(self) -> None:
        """Import `health_probes` of every app, and the system checks; the import registers them."""
        autodiscover_modules("health_probes")
        import_module("health.system_checks")
