"""Discover the checks of every installed app."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ConsistencyConfig(AppConfig):
    name = "consistency"

    def ready(self) -> None:
        """Import `consistency_checks` of every app: importing is what registers a check."""
        autodiscover_modules("consistency_checks")
