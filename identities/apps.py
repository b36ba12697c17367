"""People that the platform knows: rows in PostgreSQL, files on disk."""

from django.apps import AppConfig


class IdentitiesConfig(AppConfig):
    name = "identities"
