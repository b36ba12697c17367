"""The rows of the probe table on the admin's page of health."""

from typing import Final, NamedTuple

from django import template

from health.registry import PROBES, Probe
from health.runs.result import ProbeResult
from health.snapshot import snapshot

# Seconds, as for /health/detailed.
BUDGET: Final = 2.0

register = template.Library()


class Row(NamedTuple):
    probe: Probe
    result: ProbeResult
    message: str


@register.simple_tag
def probe_rows() -> list[Row]:
    """Return every probe with its result, after a refresh of results older than their TTL."""
    results = snapshot.refresh(budget=BUDGET)
    return [Row(PROBES[name], result, result.message(PROBES[name].title)) for name, result in results.items()]
