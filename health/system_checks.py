"""Settings that can be read but make no sense together, and probes that could never be asked."""

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.core import checks

from health.registry import PROBES

ID: Final = "health"


@checks.register("health")
def settings_make_sense(**_: Any) -> list[checks.CheckMessage]:
    """Warn of integrations that cannot work as they are set."""
    return [*_sftpgo(), *_tmdb(), *_pipeline()]


def _sftpgo() -> Iterator[checks.CheckMessage]:
    if bool(settings.SFTPGO_USER) != bool(settings.SFTPGO_PASSWORD):
        yield checks.Warning(
            "Of SFTPGO_USER and SFTPGO_PASSWORD only one is set.",
            hint="Set both, or SFTPGO_API_KEY instead of them.",
            id=f"{ID}.W001",
        )
    if settings.SFTPGO_URL and not (settings.SFTPGO_API_KEY or settings.SFTPGO_USER):
        yield checks.Warning(
            "SFTPGO_URL is set without credentials: SFTPGo will refuse to tell its status.",
            hint="Set SFTPGO_API_KEY, or SFTPGO_USER and SFTPGO_PASSWORD, of an administrator who may view the status.",
            id=f"{ID}.W002",
        )
    if not settings.SFTPGO_URL and (settings.SFTPGO_API_KEY or settings.SFTPGO_USER):
        yield checks.Warning(
            "SFTPGo's credentials are set without SFTPGO_URL.", hint="Set SFTPGO_URL.", id=f"{ID}.W003"
        )


def _tmdb() -> Iterator[checks.CheckMessage]:
    if settings.TMDB_ENABLED and not settings.TMDB_API_KEY:
        yield checks.Warning(
            "TMDB is enabled without a key.", hint="Set TMDB_API_KEY, or TMDB_ENABLED=no.", id=f"{ID}.W004"
        )


def _pipeline() -> Iterator[checks.CheckMessage]:
    if not settings.QDRANT_COLLECTIONS:
        yield checks.Info(
            "QDRANT_COLLECTIONS is empty: only Qdrant itself is looked at.",
            hint="Name the collections that the platform uses; a missing or broken one is then reported.",
            id=f"{ID}.I001",
        )


@checks.register("health")
def dependencies_exist(**_: Any) -> list[checks.CheckMessage]:
    """A probe may require only what exists, and what requires nothing itself: one step, so never a circle."""
    return [
        checks.Error(
            f"Probe {probe.name!r} requires {name!r}, which is no probe or requires others itself.",
            hint="Name probes that require none.",
            id=f"{ID}.E001",
        )
        for probe in PROBES.values()
        for name in probe.requires
        if name not in PROBES or PROBES[name].requires
    ]
