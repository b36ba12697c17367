"""Discover the checks of every installed app."""

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class ConsistencyConfig(AppConfig):
    name = "consistency"

    def ready(self) -> None:
        """Import `consistency_checks` of every app, and our system checks: importing is what registers them.

        Each `migrate` creates the indexes of the search, which need an extension of PostgreSQL.
        """
        autodiscover_modules("consistency_checks")
        import_module("consistency.system_checks")
        post_migrate.connect(import_module("consistency.history.search").create_indexes, sender=self)
