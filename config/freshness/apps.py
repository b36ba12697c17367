"""Whether scans still come: health asks what consistency remembers; here, since the engines do not know each other."""

from django.apps import AppConfig


class FreshnessConfig(AppConfig):
    name = "config.freshness"
    label = "freshness"
