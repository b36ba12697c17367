"""A sample platform on real servers, for a first look and for the tests."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "config.demo"
    label = "demo"
