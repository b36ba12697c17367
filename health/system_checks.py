"""System checks of contradictory settings and of impossible requirements of probes."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from health.registry import PROBES


@checks.register("health")
def check_settings(**_: Any) -> Iterator[checks.CheckMessage]:
    """Warn of integrations that cannot work with the settings."""
    if bool(settings.SFTPGO_USER) != bool(settings.SFTPGO_PASSWORD):
        yield checks.Warning(
            "Of SFTPGO_USER and SFTPGO_PASSWORD only one is set.",
            hint="Set both, or SFTPGO_API_KEY instead of them.",
            id="health.W001",
        )
    has_credentials = bool(settings.SFTPGO_API_KEY or settings.SFTPGO_USER)
    if settings.SFTPGO_URL and not has_credentials:
        yield checks.Warning(
            "SFTPGO_URL is set without credentials: SFTPGo will refuse to show its status.",
            hint="Set SFTPGO_API_KEY, or SFTPGO_USER and SFTPGO_PASSWORD, of an administrator who may view the status.",
            id="health.W002",
        )
    if has_credentials and not settings.SFTPGO_URL:
        yield checks.Warning(
            "SFTPGo's credentials are set without SFTPGO_URL.", hint="Set SFTPGO_URL.", id="health.W003"
        )
    if settings.TMDB_ENABLED and not settings.TMDB_API_KEY:
        yield checks.Warning(
            "TMDB is enabled without a key.", hint="Set TMDB_API_KEY, or TMDB_ENABLED=no.", id="health.W004"
        )
    if not settings.QDRANT_COLLECTIONS:
        yield checks.Info(
            "QDRANT_COLLECTIONS is empty: the probe checks only Qdrant itself.",
            hint="Name the collections that the platform uses; the probe then reports a missing or broken collection.",
            id="health.I001",
        )


@checks.register("health")
def check_requirements(**_: Any) -> Iterator[checks.CheckMessage]:
    """Check that a required probe is registered and has no requirements, so that no circle is possible."""
    for name, entry in PROBES.items():
        for required in entry.requires:
            if required not in PROBES or PROBES[required].requires:
                yield checks.Error(
                    f"Probe {name!r} requires {required!r}, which is not registered or has requirements.",
                    hint="Name probes that require none.",
                    id="health.E001",
                )
