"""The HTTP server: the entries, the ASGI front, and the command `serve`."""

from django.apps import AppConfig


class ServingConfig(AppConfig):
    name = "config.serving"
    label = "serving"
