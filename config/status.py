"""The tag of the banner: health and consistency of the platform, and the services and checks that decide."""

from typing import NamedTuple

from django import template

from common.times import ago, format_minute
from consistency.history.overview import Overview, overview
from health.runs.result import DEGRADED, OK
from health.templatetags.probes import Health, essential_probes

register = template.Library()
register.filter("ago", ago)
register.filter("minute", format_minute)


class Reason(NamedTuple):
    """A probe or a check that makes the status degraded."""

    name: str
    words: str
    is_check: bool


class Platform(NamedTuple):
    """Essential services, and the overview of the default database."""

    health: Health
    review: Overview

    @property
    def status(self) -> str:
        """Return `degraded` if health or consistency is degraded. Without a complete scan, health decides."""
        return DEGRADED if DEGRADED in (self.health.status, self.review.status) else OK

    @property
    def reasons(self) -> list[Reason]:
        """Return the probes, then the checks, and last the age of the scans."""
        probes = [Reason(row.probe.name, row.message, is_check=False) for row in self.health.unwell]
        checks = {
            card.name: "could not run" if card.last.error else f"{card.unsuppressed:,} open"
            for card in self.review.degraded
        }
        if self.review.stale:
            checks["scans"] = self.review.stale
        return probes + [Reason(name, words, is_check=True) for name, words in checks.items()]


@register.simple_tag
def platform_status() -> Platform:
    """Return the status of now. Raises OperationalError."""
    return Platform(essential_probes(), overview())
