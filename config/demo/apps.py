"""A sample platform on real servers, for newcomers and tests."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "config.demo"
    label = "demo"
