"""The app of identities: people whom the platform can recognise."""

from django.apps import AppConfig


class IdentitiesConfig(AppConfig):
    name = "identities"
