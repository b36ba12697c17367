"""Discover the probes of every installed app."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class HealthConfig(AppConfig):
    name = "health"

    def ready(self) -> None:
        """Import `health_probes` of every app: importing is what registers a probe."""
        autodiscover_modules("health_probes")
