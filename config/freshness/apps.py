"""The probe of consistency lives in config, because health and consistency do not import each other."""

from django.apps import AppConfig


class FreshnessConfig(AppConfig):
    name = "config.freshness"
    label = "freshness"
