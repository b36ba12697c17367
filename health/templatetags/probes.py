"""The probes for the admin's page about health: what /health/detailed tells, for people."""

from typing import Final, NamedTuple

from django import template

from health.registry import PROBES, Probe
from health.snapshot import snapshot
from health.status_table import says
from health.verdict import Verdict

# As for /health/detailed: what is not known by then is shown as such.
BUDGET: Final = 2.0

register = template.Library()


class Row(NamedTuple):
    probe: Probe
    verdict: Verdict
    says: str


@register.simple_tag
def probe_rows() -> list[Row]:
    """Every registered probe with its verdict, asked anew where that is no longer young."""
    return [
        Row(PROBES[name], verdict, says(PROBES[name], verdict)) for name, verdict in snapshot.ask(budget=BUDGET).items()
    ]
