"""Discover the checks of every installed app."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ConsistencyConfig(AppConfig):
    name = "consistency"

    def ready(self) -> None:
        """Import `consistency_checks` of every app, and our system checks: importing is what registers them."""
        autodiscover_modules("consistency_checks")
        import_module("consistency.system_checks")
