"""Tags of pages that show the results of probes."""

from typing import Final, NamedTuple

from django import template

from common.times import ago, format_minute
from health.registry import PROBES, Probe
from health.runs.result import OK, ProbeResult, overall
from health.snapshot import snapshot

# Seconds, as for /health/detailed.
BUDGET: Final = 2.0

register = template.Library()


class Row(NamedTuple):
    """A probe with its result."""

    probe: Probe
    result: ProbeResult

    @property
    def message(self) -> str:
        """Return the reason, the note or the title."""
        return self.result.message(self.probe.title)

    @property
    def since(self) -> str:
        """Return since when the probe has its status, as far as this process knows."""
        if self.result.since is None:
            return f"the start of this server, {ago(snapshot.started)}"
        return f"{format_minute(self.result.since)}, {ago(self.result.since)}"


class Health(NamedTuple):
    """Probes with their results."""

    rows: list[Row]

    @property
    def status(self) -> str:
        """Return the overall status, which the essential probes decide."""
        return overall(row.result for row in self.rows if row.probe.essential)

    @property
    def unwell(self) -> list[Row]:
        """Return the essential probes that make the status degraded."""
        return [row for row in self.rows if row.probe.essential and row.result.status != OK]


@register.simple_tag
def known_down(name: str) -> bool:
    """Return whether a service is known to be down."""
    return snapshot.known_down(name)


@register.simple_tag
def every_probe() -> Health:
    """Return all probes, after a refresh of results older than their TTL."""
    return _health(snapshot.refresh(budget=BUDGET))


@register.simple_tag
def essential_probes() -> Health:
    """Return the essential probes without waiting for a run, except for the first round."""
    snapshot.ensure_started()
    return _health(snapshot.essential())


def _health(results: dict[str, ProbeResult]) -> Health:
    return Health([Row(PROBES[name], result) for name, result in results.items()])
